import re

from digits.web.metrics import BUCKETS, Metrics

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\.)*"\})? [0-9.e+-]+')


def samples(metrics):
    lines = [line for line in metrics.text().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_every_line_is_in_the_text_format():
    metrics = Metrics()
    metrics.observe_request("recognised", 0.02)
    metrics.count_endpoint_error('odd "name"\\\n')
    text = metrics.text()
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line), line


def test_requests_are_counted_by_outcome():
    metrics = Metrics()
    for outcome in ("recognised", "blank", "recognised"):
        metrics.observe_request(outcome, 0.01)
    found = samples(metrics)
    assert found['digits_requests_total{outcome="recognised"}'] == 2
    assert found['digits_requests_total{outcome="blank"}'] == 1


def test_buckets_hold_what_is_below_them_too():
    metrics = Metrics()
    for seconds in (0.001, 0.005, 0.03, 99.0):
        metrics.observe_request("recognised", seconds)
    found = samples(metrics)
    counts = [found[f'digits_request_seconds_bucket{{le="{bound}"}}'] for bound in BUCKETS]
    assert counts == [2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3]
    assert found['digits_request_seconds_bucket{le="+Inf"}'] == 4
    assert found["digits_request_seconds_count"] == 4
    assert found["digits_request_seconds_sum"] == 0.001 + 0.005 + 0.03 + 99.0


def test_calls_of_the_endpoint_and_their_errors_are_counted():
    metrics = Metrics()
    metrics.observe_endpoint(0.2)
    metrics.count_endpoint_error("ValidationError")
    found = samples(metrics)
    assert found["digits_endpoint_seconds_count"] == 1
    assert found['digits_endpoint_errors_total{error="ValidationError"}'] == 1
