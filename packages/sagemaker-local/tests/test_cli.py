"""The command's arguments, and where the S3 server's credentials come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local import cli
from sagemaker_local.service import Settings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the server would be started with, in an environment without any of AWS's variables."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # So that what the command sets is taken back too.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    found: dict[str, Any] = {}

    def serve(settings: Settings, *, host: str, port: int) -> bool:
        found.update(settings=settings, host=host, port=port)
        return True

    monkeypatch.setattr("sagemaker_local.server.serve", serve)
    return found


def test_the_defaults_and_the_environment(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert cli.main(["serve"]) == 0
    assert (served["host"], served["port"]) == ("127.0.0.1", 9010)
    settings = served["settings"]
    assert settings.s3_endpoint == "http://127.0.0.1:9000"
    assert settings.region == "us-east-1"
    assert settings.data == tmp_path / ".sagemaker-local"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "id"
    assert "AWS_SESSION_TOKEN" not in os.environ


def test_credentials_of_a_profile(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the environment")
    (tmp_path / "credentials").write_text(
        "[minio]\naws_access_key_id = id\naws_secret_access_key = secret\n"
        "aws_session_token = token\n"
    )
    assert cli.main(["serve", "--s3-endpoint=http://127.0.0.1:9000", "--profile=minio"]) == 0
    assert os.environ["AWS_ACCESS_KEY_ID"] == "id"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert os.environ["AWS_SESSION_TOKEN"] == "token"


@pytest.mark.parametrize("arguments", [[], ["--profile=none"]])
def test_without_credentials_it_does_not_start(
    served: dict[str, Any], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert cli.main(["serve", "--s3-endpoint=http://127.0.0.1:9000", *arguments]) == 1
    said = capsys.readouterr().err
    assert "No credentials for the S3 server http://127.0.0.1:9000" in said
    assert "none" in said if arguments else "--profile" in said
    assert not served


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--s3-endpoint"),
        (["--s3-endpoint=http://x", "--account=12"], "--account must have 12 digits"),
        (["--s3-endpoint=http://x", "--trainers=0"], "--trainers must be at least 1"),
        (["--s3-endpoint=http://x", "--max-model-bytes=0"], "--max-model-bytes must be at least 1"),
    ],
)
def test_wrong_arguments(
    served: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["serve", *arguments])
    assert raised.value.code == 2
    assert words in capsys.readouterr().err
    assert not served
