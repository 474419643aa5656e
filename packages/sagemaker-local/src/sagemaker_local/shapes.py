"""AWS's wire shapes, as botocore's own service models state them.

Requests are validated against the model the way AWS does it, texts included; responses can be
cut to a shape and checked against one.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

from sagemaker_local.api_errors import ApiError, SerializationException, ValidationException

__all__ = ["check", "operation_model", "parse", "pick", "service_model"]


@functools.cache
def service_model(service: str) -> Any:
    """Return botocore's model of a service.

    Args:
        service: As botocore names it, such as "sagemaker".
    """
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def operation_model(service: str, operation: str) -> Any:
    """Return botocore's model of an operation."""
    model: OperationModel = service_model(service).operation_model(operation)
    return model


def pick(service: str, shape: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a body that a structure of the service's model has.

    Args:
        service: As botocore names it.
        shape: The structure, such as "TrainingJobSummary".
        body: A resource.
    """
    members = service_model(service).shape_for(shape).members
    return {name: body[name] for name in members if body.get(name) is not None}


# Requests -----------------------------------------------------------------------------------


def parse(service: str, operation: str, request: Any) -> dict[str, Any]:
    """Validate a request as AWS does; what the operation does not know is left out.

    Args:
        service: As botocore names it.
        operation: As botocore names it.
        request: The decoded JSON body; timestamps are epoch seconds.

    Returns:
        The request, with timestamps as floats.

    Raises:
        SerializationException: A value is of the wrong type.
        ValidationException: Constraints are not met (CloudWatch Logs: InvalidParameter).
    """
    shape = operation_model(service, operation).input_shape
    if not isinstance(request, dict):
        raise SerializationException("Start of structure or map found where not expected.")
    if shape is None:
        return {}
    failures: list[str] = []
    parsed = _structure(shape, request, "", failures)
    if failures:
        count = len(failures)
        text = f"{count} validation error{'s' if count > 1 else ''} detected: "
        message = text + "; ".join(failures)
        if service == "logs":
            raise ApiError("InvalidParameterException", message)
        raise ValidationException(message)
    return parsed


def _structure(
    shape: Shape, value: dict[str, Any], path: str, failures: list[str]
) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for name, member in shape.members.items():
        given = value.get(name)
        where = f"{path}.{_lower(name)}" if path else _lower(name)
        if given is None:
            if name in shape.required_members:
                failures.append(
                    f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
                )
            continue
        parsed[name] = _value(member, given, where, failures)
    return parsed


def _value(shape: Shape, value: Any, path: str, failures: list[str]) -> Any:
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            raise _wrong(value, "a structure", path)
        return _structure(shape, value, path, failures)
    if kind == "list":
        if not isinstance(value, list):
            raise _wrong(value, "a list", path)
        _size(shape, value, len(value), path, failures)
        return [
            _value(shape.member, item, f"{path}.{number}.member", failures)
            for number, item in enumerate(value, start=1)
            if item is not None
        ]
    if kind == "map":
        if not isinstance(value, dict):
            raise _wrong(value, "a map", path)
        _size(shape, value, len(value), path, failures)
        return dict(_entries(shape, value, path, failures))
    return _scalar(shape, value, path, failures)


def _entries(
    shape: Shape, value: dict[str, Any], path: str, failures: list[str]
) -> Iterator[tuple[str, Any]]:
    # AWS reports a bad key or value of a map against the whole map.
    for key, item in value.items():
        inner: list[str] = []
        _scalar(shape.key, key, path, inner)
        for failure in inner:
            constraint = failure.partition("constraint: ")[2]
            failures.append(
                f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: "
                f"Map keys must satisfy constraint: [{constraint}]"
            )
        if item is None:
            continue
        if shape.value.type_name in ("structure", "list", "map"):
            yield key, _value(shape.value, item, f"{path}.{key}.member", failures)
            continue
        inner = []
        parsed = _scalar(shape.value, item, path, inner)
        for failure in inner:
            constraint = failure.partition("constraint: ")[2]
            failures.append(
                f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: "
                f"Map value must satisfy constraint: [{constraint}]"
            )
        yield key, parsed


def _scalar(shape: Shape, value: Any, path: str, failures: list[str]) -> Any:
    kind = shape.type_name
    if kind in ("string", "blob"):
        if not isinstance(value, str):
            raise _wrong(value, "a String", path)
        _text(shape, value, path, failures)
        return value
    if kind in ("integer", "long"):
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise _wrong(value, "an Integer" if kind == "integer" else "a Long", path)
        _bounds(shape, value, path, failures)
        return int(value)
    if kind in ("float", "double"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(value, "a Float" if kind == "float" else "a Double", path)
        _bounds(shape, value, path, failures)
        return float(value)
    if kind == "boolean":
        if not isinstance(value, bool):
            raise _wrong(value, "a Boolean", path)
        return value
    if kind == "timestamp":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(value, "a Timestamp", path)
        return float(value)
    return value


def _wrong(value: Any, wanted: str, path: str) -> SerializationException:
    names = {bool: "TRUE_VALUE" if value else "FALSE_VALUE", str: "STRING_VALUE"}
    found = names.get(type(value), "NUMBER_VALUE")
    if isinstance(value, dict | list):
        return SerializationException(
            f"Start of {'list' if isinstance(value, list) else 'structure or map'} found "
            f"where not expected: '{path}' must be {wanted}."
        )
    return SerializationException(f"{found} can not be converted to {wanted}: '{path}'.")


def _text(shape: Shape, value: str, path: str, failures: list[str]) -> None:
    meta = shape.metadata
    enum = meta.get("enum")
    if enum:
        if value not in enum:
            _fail(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]", failures)
        return
    size_is_right = _size(shape, value, len(value), path, failures)
    pattern = meta.get("pattern")
    # A pattern is tried on values of the right length alone: some would take ages otherwise.
    if pattern and (size_is_right or len(value) < 256):
        compiled = _compile(pattern)
        if compiled is not None and compiled.fullmatch(value) is None:
            _fail(
                value, path, f"Member must satisfy regular expression pattern: {pattern}", failures
            )


def _size(shape: Shape, value: Any, size: int, path: str, failures: list[str]) -> bool:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if most is not None and size > most:
        text = f"Member must have length less than or equal to {most}"
    elif least is not None and size < least:
        text = f"Member must have length greater than or equal to {least}"
    else:
        return True
    _fail(value, path, text, failures)
    return False


def _bounds(shape: Shape, value: float, path: str, failures: list[str]) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if most is not None and value > most:
        _fail(value, path, f"Member must have value less than or equal to {most}", failures)
    if least is not None and value < least:
        _fail(value, path, f"Member must have value greater than or equal to {least}", failures)


def _fail(value: Any, path: str, constraint: str, failures: list[str]) -> None:
    failures.append(
        f"Value '{_shown(value)}' at '{path}' failed to satisfy constraint: {constraint}"
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(_shown(item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= 1024 else text[:1021] + "..."


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


@functools.cache
def _compile(pattern: str) -> re.Pattern[str] | None:
    # Java's Unicode classes in Python's terms; what cannot be said in them is not checked.
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s"), (r"\p{M}", "")):
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


# Responses ----------------------------------------------------------------------------------


def check(service: str, operation: str, response: Any) -> list[str]:
    """Compare a response as it is on the wire (JSON) with the service's model.

    Args:
        service: As botocore names it.
        operation: As botocore names it.
        response: The decoded JSON body; None when there was none.

    Returns:
        What is wrong with it, one text a fault; empty when all is well.
    """
    shape = operation_model(service, operation).output_shape
    if shape is None or not shape.members:
        return [] if not response else [f"answers {response!r} where nothing is expected"]
    return list(_faults(shape, response, operation))


def _faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no structure"
            return
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"{path}.{name}: is required and missing"
        for name, item in value.items():
            if name not in shape.members:
                yield f"{path}.{name}: the shape {shape.name} has no such member"
            else:
                yield from _faults(shape.members[name], item, f"{path}.{name}")
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for number, item in enumerate(value):
            yield from _faults(shape.member, item, f"{path}[{number}]")
    elif kind == "map":
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no map"
            return
        for key, item in value.items():
            yield from _faults(shape.value, item, f"{path}[{key!r}]")
    else:
        types: dict[str, tuple[type, ...]] = {
            "string": (str,),
            "boolean": (bool,),
            "integer": (int,),
            "long": (int,),
            "float": (int, float),
            "double": (int, float),
            "timestamp": (int, float),
        }
        wanted = types.get(kind, (str,))
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean"):
            yield f"{path}: {value!r} is no {kind}"
            return
        failures: list[str] = []
        _scalar(shape, value, path, failures)
        yield from failures


def epoch(value: datetime.datetime | float) -> float:
    """Return a time as epoch seconds with milliseconds, as JSON 1.1 writes it."""
    if isinstance(value, datetime.datetime):
        value = value.timestamp()
    return round(float(value), 3)
