"""The protocols on the wire, as bytes."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tradewind.local import Systems

AMZ_JSON = {"Content-Type": "application/x-amz-json-1.1"}


@pytest.fixture
def endpoint(local_sagemaker: Systems) -> str:
    return local_sagemaker["sagemaker"].endpoint


def post(endpoint: str, target: str | None, body: bytes = b"{}") -> httpx.Response:
    headers = AMZ_JSON | ({"X-Amz-Target": target} if target else {})
    return httpx.post(endpoint, content=body, headers=headers)


def test_json_answers(endpoint: str) -> None:
    response = post(endpoint, "SageMaker.ListModels")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    assert len(response.headers["x-amzn-requestid"]) == 36
    assert isinstance(response.json()["Models"], list)


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("SageMaker.ListApps", b"{}", "UnknownOperationException"),
        ("SageMaker.Nonsense", b"{}", "UnknownOperationException"),
        ("Nonsense.ListModels", b"{}", "UnknownOperationException"),
        (None, b"", "UnknownOperationException"),
        (None, b"Action=GetCallerIdentity&Version=1999-01-01", "UnknownOperationException"),
        ("SageMaker.ListModels", b"{", "SerializationException"),
        ("SageMaker.ListModels", b"[]", "SerializationException"),
        ("SageMaker.ListModels", b'{"MaxResults": 0}', "ValidationException"),
        ("Logs_20140328.DescribeLogGroups", b'{"limit": 0}', "InvalidParameterException"),
    ],
)
def test_json_errors(endpoint: str, target: str | None, body: bytes, code: str) -> None:
    response = post(endpoint, target, body)
    assert response.status_code == 400
    answer: dict[str, Any] = response.json()
    assert answer["__type"] == code
    assert answer["message"]


def test_an_unknown_operation_names_what_there_is(endpoint: str) -> None:
    message = post(endpoint, "SageMaker.ListApps").json()["message"]
    assert "ListApps" in message
    assert "CreateTrainingJob" in message


def test_a_void_operation_answers_nothing(endpoint: str) -> None:
    role = "arn:aws:iam::123456789012:role/sagemaker"
    model = {
        "ModelName": "void",
        "PrimaryContainer": {"Image": "image"},
        "ExecutionRoleArn": role,
    }
    assert post(endpoint, "SageMaker.CreateModel", json.dumps(model).encode()).status_code == 200
    response = post(endpoint, "SageMaker.DeleteModel", b'{"ModelName": "void"}')
    assert (response.status_code, response.content) == (200, b"")


def test_query_answers_xml(endpoint: str) -> None:
    form = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
    response = httpx.post(endpoint, data=form)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/xml"
    assert "<GetCallerIdentityResult><UserId>" in response.text
    assert 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"' in response.text
    assert "<Account>123456789012</Account>" in httpx.get(endpoint, params=form).text


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Action": "GetSessionToken", "Version": "2011-06-15"}, "UnknownOperationException"),
        ({"Action": "GetRole", "Version": "2010-05-08"}, "ValidationException"),
    ],
)
def test_query_errors_are_xml(endpoint: str, form: dict[str, str], code: str) -> None:
    response = httpx.post(endpoint, data=form)
    assert response.status_code == 400
    assert f"<Code>{code}</Code>" in response.text


def test_other_paths_and_sizes(endpoint: str) -> None:
    assert httpx.get(f"{endpoint}/health").json() == {"status": "ok"}
    response = httpx.get(f"{endpoint}/endpoints/a/invocations")
    assert response.json()["__type"] == "UnknownOperationException"
    response = post(endpoint, "SageMaker.ListModels", b" " * (9 * 1024 * 1024))
    assert response.status_code == 413
    # The connection serves on after an error.
    with httpx.Client(base_url=endpoint) as client:
        assert client.post("/", content=b"{", headers=AMZ_JSON).status_code == 400
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9010", 200),
        ("127.0.0.1", 200),
        ("sagemaker.localhost:1", 200),
        ("[::1]:9010", 200),
        ("example.com:9010", 403),
        ("127.evil.example.com", 403),
        ("localhost.example.com", 403),
    ],
)
def test_a_request_must_mean_this_machine(endpoint: str, host: str, status: int) -> None:
    headers = AMZ_JSON | {"X-Amz-Target": "SageMaker.ListModels", "Host": host}
    assert httpx.post(endpoint, content=b"{}", headers=headers).status_code == status
