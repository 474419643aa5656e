"""The page on Lambda, called with the events that API Gateway sends.

Their shapes: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html (payload format
1.0) and https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
(2.0).
"""

import asyncio
import base64
import gzip
import importlib
import json
import sys

import pytest

from digits_service import MODEL
from handwriting import drawn, paper


class Context:
    """What Lambda hands a function beside the event, as far as anybody reads it."""

    function_name = "digits"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:digits"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


def rest(method, path="/", *, headers=None, body=None, binary=False):
    """An event of a REST API (payload format 1.0)."""
    headers = {
        "Accept": "*/*",
        "Host": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    } | (headers or {})
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "test"},
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": "id=",
            "requestTime": "01/Jan/2026:00:00:00 +0000",
            "requestTimeEpoch": 1767225600000,
            "resourceId": "abc123",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "body": body,
        "isBase64Encoded": binary,
    }


def http(method, path="/", *, headers=None, body=None, binary=False, stage="$default"):
    """An event of an HTTP API (payload format 2.0)."""
    headers = {
        "accept": "*/*",
        "host": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    } | {name.lower(): value for name, value in (headers or {}).items()}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": stage,
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1767225600000,
        },
        "isBase64Encoded": binary,
    }
    if body is not None:
        event["body"] = body
    return event


@pytest.fixture
def handler(monkeypatch):
    """Loads the handler as Lambda does at a cold start, in an environment."""

    def load(environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, "digits.web.lambda_handler", raising=False)
        return importlib.import_module("digits.web.lambda_handler").handler

    # Mangum would make a loop where this thread has none, and nobody would close it.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield load
    sys.modules.pop("digits.web.lambda_handler", None)
    asyncio.set_event_loop(None)
    loop.close()


def headers_of(answer):
    """The headers, from the one or the other format, in lower case."""
    many = answer.get("multiValueHeaders") or {}
    found = answer.get("headers", {}) | {name: values[0] for name, values in many.items()}
    return {name.lower(): value for name, value in found.items()}


@pytest.mark.parametrize("event", [rest, http])
def test_a_picture_in_base64_is_recognised(handler, service, event):
    call = handler(service.environment)
    body = base64.b64encode(paper(5)).decode()
    answer = call(
        event("POST", headers={"Content-Type": "image/png"}, body=body, binary=True), Context()
    )
    assert answer["statusCode"] == 200, answer
    assert answer["isBase64Encoded"] is False or "gzip" in str(answer["headers"])
    found = json.loads(answer["body"])
    assert found["digit"] == 5
    assert found["model"]["variant"] == MODEL


@pytest.mark.parametrize("event", [rest, http])
def test_pixels_as_text_are_recognised(handler, service, event):
    call = handler(service.environment)
    body = json.dumps((drawn(1) * 255).round().tolist())
    answer = call(event("POST", headers={"Content-Type": "application/json"}, body=body), Context())
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["digit"] == 1


@pytest.mark.parametrize("event", [rest, http])
def test_an_answer_that_is_compressed_comes_in_base64(handler, event):
    call = handler({})
    plain = call(event("GET"), Context())
    assert plain["statusCode"] == 200
    assert plain["isBase64Encoded"] is False
    assert headers_of(plain)["content-type"] == "text/html; charset=utf-8"
    assert "content-security-policy" in headers_of(plain)

    packed = call(event("GET", headers={"Accept-Encoding": "gzip"}), Context())
    assert packed["isBase64Encoded"] is True
    assert headers_of(packed)["content-encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(packed["body"])).decode() == plain["body"]


@pytest.mark.parametrize("event", [rest, http])
def test_errors_keep_their_status(handler, service, event):
    call = handler(service.environment)
    damaged = base64.b64encode(paper(5)[:100]).decode()
    answer = call(
        event("POST", headers={"Content-Type": "image/png"}, body=damaged, binary=True), Context()
    )
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["error"]["code"] == "unreadable"
    assert call(event("GET", "/absent"), Context())["statusCode"] == 404


@pytest.mark.parametrize("event", [rest, http])
def test_health(handler, service, event):
    answer = handler(service.environment)(event("GET", "/health"), Context())
    assert answer["statusCode"] == 200
    away = handler(service.environment | {"TRADEWIND_DIGITS_ENDPOINT": "digits-web-absent"})
    assert away(event("GET", "/health"), Context())["statusCode"] == 503


def test_the_stage_of_an_http_api_is_taken_off_the_path(handler):
    call = handler({"TRADEWIND_DIGITS_BASE_PATH": "/prod"})
    answer = call(http("GET", "/prod/metrics", stage="prod"), Context())
    assert answer["statusCode"] == 200
    assert "digits_requests_total" in answer["body"]
