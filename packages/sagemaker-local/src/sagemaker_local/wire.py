"""The two protocols the services speak: JSON 1.1 (SageMaker, CloudWatch Logs), query (STS, IAM).

Facts: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html and
https://smithy.io/2.0/aws/protocols/aws-query-protocol.html; which service speaks which, and its
target prefix, is in botocore's service models (1.44: no other is sent by its clients).
"""

from __future__ import annotations

import datetime
import json
import urllib.parse
import uuid
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from sagemaker_local import shapes
from sagemaker_local.api_errors import ApiError, SerializationException, UnknownOperation

__all__ = ["JSON_TYPE", "Call", "Reply", "json_error", "read"]

JSON_TYPE = "application/x-amz-json-1.1"
_TARGETS = {"SageMaker": "sagemaker", "Logs_20140328": "logs"}
_VERSIONS = {"2011-06-15": "sts", "2010-05-08": "iam"}


@dataclass(slots=True)
class Reply:
    """An HTTP response.

    Args:
        status: The HTTP status.
        body: The payload.
        content_type: Of the payload.
        headers: Further headers.
    """

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """A request as it came, and how to answer it in the protocol it spoke.

    Args:
        service: As botocore names it.
        operation: As botocore names it.
        request: The members of the request, not validated yet.
        query: Whether it spoke the query protocol, and not JSON.
    """

    service: str
    operation: str
    request: Any
    query: bool = False

    def answer(self, response: dict[str, Any] | None) -> Reply:
        """Write the operation's response."""
        request_id = str(uuid.uuid4())
        headers = {"x-amzn-RequestId": request_id}
        if self.query:
            body = _query_answer(self, _public(response or {}), request_id)
            return Reply(200, body, "text/xml", headers)
        if shapes.operation_model(self.service, self.operation).output_shape is None:
            return Reply(200, b"", JSON_TYPE, headers)
        body = json.dumps(_public(response or {}), separators=(",", ":")).encode()
        return Reply(200, body, JSON_TYPE, headers)

    def refuse(self, error: ApiError) -> Reply:
        """Write an error."""
        if not self.query:
            return json_error(error)
        request_id = str(uuid.uuid4())
        namespace = ""
        if self.service:
            namespace = f' xmlns="{shapes.service_model(self.service).metadata["xmlNamespace"]}"'
        fault = "Sender" if error.status < 500 else "Receiver"
        text = (
            f"<ErrorResponse{namespace}><Error><Type>{fault}</Type>"
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Reply(error.status, text.encode(), "text/xml", {"x-amzn-RequestId": request_id})


def json_error(error: ApiError) -> Reply:
    """Write an error in JSON 1.1; REST JSON reads the same, with the type in a header."""
    body = {"__type": error.code, "message": error.message, "Message": error.message}
    body |= _public(error.fields)
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), "x-amzn-ErrorType": error.code}
    return Reply(error.status, json.dumps(body).encode(), JSON_TYPE, headers)


def read(headers: dict[str, str], query_string: bytes, body: bytes) -> Call:
    """Tell what a request asks for.

    Args:
        headers: Names in lower case.
        query_string: Of the URL.
        body: The payload.

    Raises:
        SerializationException: The body is not what its protocol says.
        UnknownOperation: It names no service that is played here.
    """
    target = headers.get("x-amz-target")
    if target is not None:
        prefix, _, operation = target.partition(".")
        service = _TARGETS.get(prefix)
        if service is None or operation not in shapes.service_model(service).operation_names:
            raise UnknownOperation(
                f"There is no operation {target!r} here: the services with a target are "
                + ", ".join(f"{prefix} ({name})" for prefix, name in _TARGETS.items())
            )
        try:
            request = json.loads(body) if body.strip() else {}
        except ValueError as error:
            raise SerializationException(f"The request's body is no JSON: {error}") from None
        return Call(service, operation, request)
    try:
        pairs = urllib.parse.parse_qsl(
            (body or query_string).decode("utf-8"), keep_blank_values=True, max_num_fields=1000
        )
    except ValueError as error:
        raise SerializationException(f"The request's form cannot be read: {error}") from None
    form = dict(pairs)
    action, service = form.get("Action"), _VERSIONS.get(form.get("Version", ""))
    if action is None or service is None:
        raise UnknownOperation(
            "The request names no operation: SageMaker and CloudWatch Logs want the header "
            "X-Amz-Target, STS and IAM the form fields Action and Version, "
            "the SageMaker runtime POST /endpoints/{name}/invocations."
        )
    if action not in shapes.service_model(service).operation_names:
        raise UnknownOperation(f"Could not find operation {action} of {service}")
    shape = shapes.operation_model(service, action).input_shape
    request = {} if shape is None else _from_form(shape, form, "") or {}
    return Call(service, action, request, query=True)


def _from_form(shape: Any, form: dict[str, str], prefix: str) -> Any:
    """Gather a value from the flat fields of a form: ``Tags.member.1.Key=...``."""
    kind = shape.type_name
    if kind == "structure":
        found = {
            name: _from_form(member, form, f"{prefix}.{name}" if prefix else name)
            for name, member in shape.members.items()
        }
        return {name: value for name, value in found.items() if value is not None} or None
    if kind == "list":
        items: list[Any] = []
        while (item := _from_form(shape.member, form, f"{prefix}.member.{len(items) + 1}")) or (
            item is not None
        ):
            items.append(item)
        return items or None
    text = form.get(prefix)
    if text is None:
        return None
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
    except ValueError:
        raise SerializationException(f"{prefix} is no number: {text!r}") from None
    return text == "true" if kind == "boolean" else text


def _query_answer(call: Call, response: dict[str, Any], request_id: str) -> bytes:
    model = shapes.operation_model(call.service, call.operation)
    namespace = shapes.service_model(call.service).metadata["xmlNamespace"]
    result = ""
    if model.output_shape is not None:
        wrapper = model.output_shape.serialization.get("resultWrapper", f"{call.operation}Result")
        result = f"<{wrapper}>{_xml(model.output_shape, response)}</{wrapper}>"
    return (
        f'<{call.operation}Response xmlns="{namespace}">{result}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{call.operation}Response>"
    ).encode()


def _xml(shape: Any, value: Any) -> str:
    kind = shape.type_name
    if kind == "structure":
        return "".join(
            f"<{name}>{_xml(member, value[name])}</{name}>"
            for name, member in shape.members.items()
            if name in value
        )
    if kind == "list":
        return "".join(f"<member>{_xml(shape.member, item)}</member>" for item in value)
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        moment = datetime.datetime.fromtimestamp(value, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return escape(str(value))


def _public(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body without its private members, in JSON values."""
    # Only here, not deeper: a user's hyperparameter may well begin with "_".
    plain: dict[str, Any] = _plain({k: v for k, v in body.items() if not k.startswith("_")})
    return plain


def _plain(value: Any) -> Any:
    """Return JSON values: no None, times as epoch seconds."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return shapes.epoch(value)
    return value
