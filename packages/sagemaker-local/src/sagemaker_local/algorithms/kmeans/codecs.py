"""Requests to and answers from a served k-means model, as bytes.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html (requests) and
https://docs.aws.amazon.com/sagemaker/latest/dg/km-in-formats.html (answers). Where that page shows
a RecordIO answer as one record with vectors, SageMaker and its SDK have one record a row.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from sagemaker_local import recordio
from sagemaker_local.algorithms.base import InvocationError
from sagemaker_local.algorithms.csv_rows import WidthError, parse_rows

__all__ = ["ANSWERS", "REQUESTS", "choose_answer", "decode_request", "encode_answer"]

CSV = "text/csv"
JSON = "application/json"
JSONLINES = "application/jsonlines"
RECORDIO = "application/x-recordio-protobuf"

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[Any]


def _refuse(detail: str) -> NoReturn:
    # The words before the colon are what SageMaker's own k-means container answers to every such
    # request; it gives no detail.
    raise InvocationError(400, f"unable to evaluate payload provided: {detail}")


def _media_type(header: str) -> tuple[str, dict[str, str]]:
    """Split ``text/csv; label_size=0`` into its type and its parameters, both in lower case."""
    kind, *rest = header.lower().split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip(), {name.strip(): value.strip(' "') for name, _, value in pairs}


def _wrong_width(row: int, found: int, features: int) -> NoReturn:
    _refuse(
        f"row {row} has {found} features, but the model was trained with feature_dim={features}"
    )


def _from_csv(body: bytes, features: int, parameters: dict[str, str]) -> Matrix:
    size = parameters.get("label_size", "0")
    if not (size.isascii() and size.isdigit()):
        _refuse(f"label_size={size!r} in the content type is not a number of columns")
    labels = int(size)
    # Spreadsheets write a byte order mark.
    lines = body.removeprefix(b"\xef\xbb\xbf").splitlines()
    rows = [line for line in lines if line and not line.isspace()]
    if not rows:
        _refuse("the body holds no rows")
    try:
        values = parse_rows(rows, labels + features)
    except WidthError as error:
        _wrong_width(error.row + 1, error.columns - labels, features)
    except ValueError as error:
        _refuse(f"text/csv holds something that is not a number ({error})")
    return _finite(values[:, labels:])


def _finite(values: Vector) -> Matrix:
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, refused below
        narrow: Matrix = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(narrow).all():
        row = int(np.argmin(np.isfinite(narrow).all(axis=1))) + 1
        _refuse(f"row {row} holds a value that is no finite float32 number")
    return narrow


def _row_of(instance: object, number: int, features: int) -> list[float] | Matrix:
    """Return the feature values of one instance in any of the documented JSON shapes."""
    if isinstance(instance, dict) and "data" in instance:
        instance = instance["data"]
    values = instance.get("features") if isinstance(instance, dict) else None
    keys = shape = None
    if isinstance(values, dict):
        keys, shape = values.get("keys"), values.get("shape")
        values = values.get("values")
    if not isinstance(values, list):
        _refuse(f'instance {number} has no list of "features"')
    if keys is not None:  # sparse: positions and their values, in a vector of the length `shape`
        return _dense(keys, values, shape, number, features)
    if len(values) != features:
        _wrong_width(number, len(values), features)
    return values


def _dense(keys: object, values: list[float], shape: object, number: int, features: int) -> Matrix:
    width = shape[0] if isinstance(shape, list) and shape else features
    if width != features:
        _refuse(
            f"row {number} has shape {shape}, but the model was trained with feature_dim={features}"
        )
    try:
        positions = np.array(keys, np.int64)
        row = np.zeros(features, np.float64)
        if positions.shape != (len(values),) or (positions < 0).any():
            raise ValueError("one key of 0 or more is needed for each value")
        row[positions] = values
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        _refuse(f"row {number} is not a sparse vector of {features} features ({error})")
    return row.astype(np.float32)


def _rows(instances: list[Any], features: int) -> Matrix:
    if not instances:
        _refuse("the body holds no rows")
    rows = [_row_of(instance, number, features) for number, instance in enumerate(instances, 1)]
    try:
        values = np.array(rows, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        _refuse(f"features must be numbers ({error})")
    if values.ndim != 2:
        _refuse("features must be flat lists of numbers")
    return _finite(values)


def _from_json(body: bytes, features: int, parameters: dict[str, str]) -> Matrix:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        _refuse(f"the body is not JSON ({error})")
    if isinstance(document, dict) and "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            _refuse('"instances" is not a list')
        return _rows(instances, features)
    if isinstance(document, dict):
        return _rows([document], features)
    _refuse('the body is not an object with "instances"')


def _from_jsonlines(body: bytes, features: int, parameters: dict[str, str]) -> Matrix:
    instances = []
    for number, line in enumerate(body.splitlines(), 1):
        if not line or line.isspace():
            continue
        try:
            instances.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            _refuse(f"line {number} is not JSON ({error})")
    return _rows(instances, features)


def _from_recordio(body: bytes, features: int, parameters: dict[str, str]) -> Matrix:
    blocks: list[Vector] = []
    try:
        for block in recordio.decode([body]):
            if block.shape[1] != features:
                _wrong_width(sum(map(len, blocks)) + 1, block.shape[1], features)
            blocks.append(block)
    except recordio.RecordIOError as error:
        _refuse(f"the body is not RecordIO-protobuf ({error})")
    return _finite(np.concatenate(blocks)) if blocks else np.empty((0, features), np.float32)


Decoder = Callable[[bytes, int, dict[str, str]], Matrix]
REQUESTS: dict[str, Decoder] = {
    CSV: _from_csv,
    JSON: _from_json,
    JSONLINES: _from_jsonlines,
    RECORDIO: _from_recordio,
}


def decode_request(body: bytes, content_type: str | None, features: int) -> Matrix:
    """Return the rows that a request asks about.

    Args:
        body: The payload.
        content_type: Its content type, perhaps with parameters (``text/csv; label_size=0``).
        features: How many features each row must have.

    Returns:
        Shape (rows, features), at least one row, all numbers finite.

    Raises:
        InvocationError: 415 for another content type, 400 for a wrong payload.
    """
    kind, parameters = _media_type(content_type or "")
    decoder = REQUESTS.get(kind)
    if decoder is None:
        raise InvocationError(
            415,
            f"Content-type {content_type or '(none)'} not supported. "
            f"Supported content-types are {', '.join(REQUESTS)}.",
        )
    if not body or body.isspace():
        _refuse("the body is empty")
    rows = decoder(body, features, parameters)
    if not len(rows):
        _refuse("the body holds no rows")
    return rows


def _to_json(clusters: Vector, distances: Vector) -> bytes:
    # %r of a double that came from float32 shows digits that mean nothing; %.9g always reads back
    # as the same float32 (IEEE 754: 9 decimal digits identify a binary32).
    rows = ", ".join(_json_rows(clusters, distances))
    return b'{"predictions": [' + rows.encode() + b"]}"


def _json_rows(clusters: Vector, distances: Vector) -> list[str]:
    return [
        f'{{"closest_cluster": {cluster:.1f}, "distance_to_cluster": {_number(distance)}}}'
        for cluster, distance in zip(clusters.tolist(), distances.tolist(), strict=True)
    ]


def _number(value: float) -> str:
    text = f"{value:.9g}"
    return text if "." in text or "e" in text else f"{text}.0"


def _to_jsonlines(clusters: Vector, distances: Vector) -> bytes:
    return "\n".join(_json_rows(clusters, distances)).encode()


def _to_csv(clusters: Vector, distances: Vector) -> bytes:
    pairs = zip(clusters.tolist(), distances.tolist(), strict=True)
    return "\n".join(f"{cluster:.1f},{_number(distance)}" for cluster, distance in pairs).encode()


def _tensor_entry(key: bytes) -> bytes:
    """Return a label map entry of one float32 value, up to that value's four bytes."""
    tensor = b"\x0a\x04"  # Float32Tensor.values (1), packed, 4 bytes follow
    value = b"\x12" + bytes([len(tensor) + 4]) + tensor  # Value.float32_tensor (2)
    entry = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value) + 4]) + value
    return b"\x12" + bytes([len(entry) + 4]) + entry  # Record.label (2)


_BEFORE_CLUSTER = _tensor_entry(b"closest_cluster")
_BEFORE_DISTANCE = _tensor_entry(b"distance_to_cluster")
_RECORD_BYTES = len(_BEFORE_CLUSTER) + 4 + len(_BEFORE_DISTANCE) + 4
_FRAME_HEAD = recordio.MAGIC + struct.pack("<I", _RECORD_BYTES)
_ANSWER = np.dtype(
    [
        ("head", f"V{len(_FRAME_HEAD) + len(_BEFORE_CLUSTER)}"),
        ("cluster", "<f4"),
        ("middle", f"V{len(_BEFORE_DISTANCE)}"),
        ("distance", "<f4"),
        ("padding", f"V{-_RECORD_BYTES % 4}"),
    ]
)


def _to_recordio(clusters: Vector, distances: Vector) -> bytes:
    # Every byte but the two numbers is the same in each record.
    records = np.zeros(len(clusters), _ANSWER)
    records["head"] = np.void(_FRAME_HEAD + _BEFORE_CLUSTER)
    records["middle"] = np.void(_BEFORE_DISTANCE)
    records["cluster"] = clusters
    records["distance"] = distances
    return records.tobytes()


Encoder = Callable[[Vector, Vector], bytes]
ANSWERS: dict[str, Encoder] = {
    JSON: _to_json,
    JSONLINES: _to_jsonlines,
    CSV: _to_csv,
    RECORDIO: _to_recordio,
}


def choose_answer(accept: str | None) -> str:
    """Return the content type to answer with: JSON unless the request asks for another.

    Args:
        accept: The request's Accept: None, one type, or several with weights (``;q=0.5``).

    Raises:
        InvocationError: 406, none of the types asked for can be given.
    """
    wanted = [_media_type(part) for part in (accept or "*/*").split(",")]
    for kind, _ in sorted(wanted, key=lambda item: -_weight(item[1])):
        if kind in ANSWERS:
            return kind
        if kind in ("", "*/*", "application/*"):
            return JSON
        if kind == "text/*":
            return CSV
    raise InvocationError(
        406, f"Accept {accept} not supported. Supported types are {', '.join(ANSWERS)}."
    )


def _weight(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0


def encode_answer(kind: str, clusters: Vector, distances: Vector) -> bytes:
    """Return the answer's body.

    Args:
        kind: A content type of ANSWERS.
        clusters: Number of the closest cluster of each row, shape (rows,).
        distances: Euclidean distance to that cluster's centre, shape (rows,).
    """
    return ANSWERS[kind](clusters, distances)
