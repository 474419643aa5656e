import pytest

from digits.layout import Layout
from digits.web.settings import Settings
from tradewind.errors import SetupError


def test_nothing_set_means_the_defaults():
    assert Settings.from_environment({}) == Settings()
    assert Settings().endpoint == "digits"


def test_everything_can_be_set():
    assert Settings.from_environment(
        {
            "TRADEWIND_DIGITS_ENDPOINT": "numbers",
            "TRADEWIND_DIGITS_BUCKET": "mine",
            "TRADEWIND_DIGITS_PREFIX": "a/b/",
            "TRADEWIND_DIGITS_MAX_BYTES": "1000",
            "TRADEWIND_DIGITS_MAX_PIXELS": "2000",
            "TRADEWIND_DIGITS_TIMEOUT": "0.5",
            "TRADEWIND_DIGITS_BASE_PATH": "/prod",
        }
    ) == Settings("numbers", Layout("mine", "a/b"), 1000, 2000, 0.5, "/prod")


@pytest.mark.parametrize("value", ["much", "0", "-1", "inf", "nan"])
def test_a_wrong_number_is_named(value):
    with pytest.raises(SetupError, match="TRADEWIND_DIGITS_TIMEOUT"):
        Settings.from_environment({"TRADEWIND_DIGITS_TIMEOUT": value})
