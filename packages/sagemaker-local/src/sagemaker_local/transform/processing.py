"""DataProcessing of transform jobs: records filtered, and joined with what the model says of them.

Rules: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html. A row
of CSV counts as an array of its fields; JSON comes as one value a line, or one an object of S3.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sagemaker_local.errors import InputError
from sagemaker_local.transform.paths import Path, parse_path

__all__ = ["Processing"]

_JSON = ("application/json", "application/jsonlines")
_MORE = "DataProcessing takes text/csv, application/json and application/jsonlines"


@dataclass(frozen=True, slots=True)
class Processing:
    """What a job does to its records before and after the model sees them.

    Args:
        before: InputFilter.
        after: OutputFilter.
        join: Whether the input is joined with the output.
        decode_input: Gives the records of a payload.
        encode_input: The other way round.
        decode_output: Gives the records of the model's answer.
        encode_output: The other way round.
    """

    before: Path
    after: Path
    join: bool
    decode_input: Callable[[bytes], list[Any]]
    encode_input: Callable[[list[Any]], bytes]
    decode_output: Callable[[bytes], list[Any]]
    encode_output: Callable[[list[Any]], bytes]

    @classmethod
    def of(cls, job: dict[str, Any]) -> Processing | None:
        """What a job asks for; None when it is nothing.

        Args:
            job: The request of CreateTransformJob, or the job as it is described.

        Raises:
            InputError: What it asks for cannot be done; says why.
        """
        wanted = job.get("DataProcessing") or {}
        before, after = wanted.get("InputFilter", "$"), wanted.get("OutputFilter", "$")
        join = wanted.get("JoinSource", "None") == "Input"
        if not join and before == after == "$":
            return None
        source, target = job["TransformInput"], job["TransformOutput"]
        kind, answer = _kind(source.get("ContentType")), _kind(target.get("Accept"))
        lines = source.get("SplitType", "None") == "Line"
        if source.get("SplitType", "None") not in ("None", "Line"):
            raise InputError("DataProcessing takes SplitType Line or None.")
        if kind is None:
            raise InputError(f"{_MORE}, and the job's ContentType is another.")
        if answer is None and (join or after != "$"):
            raise InputError(f"{_MORE}, and the job's Accept is another.")
        if join and (kind == "csv") != (answer == "csv"):
            raise InputError("To join input and output, ContentType and Accept must be the same.")
        decode = _rows if kind == "csv" else (_values if lines else _value)
        read = _rows if answer == "csv" else (_values if lines else _value)
        return cls(
            parse_path(before),
            parse_path(after),
            join,
            decode,
            _write_rows if kind == "csv" else _write_values,
            read,
            _write_rows if answer == "csv" else _write_values,
        )

    def request(self, payload: bytes) -> bytes:
        """What the model gets of a payload.

        Raises:
            InputError: The payload is not what ContentType says, or lacks what is selected.
        """
        return self.encode_input([self.before(record) for record in self.decode_input(payload)])

    def result(self, payload: bytes, answer: bytes) -> bytes:
        """What the output has for a payload and the model's answer to it.

        Raises:
            InputError: The answer is not what Accept says, or does not match the payload.
        """
        outputs = self.decode_output(answer)
        if self.join:
            inputs = self.decode_input(payload)
            if len(inputs) != len(outputs):
                raise InputError(
                    f"Input and output cannot be joined: {len(inputs)} records went to the model, "
                    f"{len(outputs)} came back."
                )
            outputs = [_joined(a, b) for a, b in zip(inputs, outputs, strict=True)]
        return self.encode_output([self.after(record) for record in outputs])


class _Row(list[Any]):
    """A row of CSV."""


def _joined(given: Any, said: Any) -> Any:
    if isinstance(given, _Row):
        return _Row([*given, *said])
    if isinstance(given, dict):
        return given | {"SageMakerOutput": said}
    return {"SageMakerInput": given, "SageMakerOutput": said}


def _kind(header: str | None) -> str | None:
    name = (header or "").partition(";")[0].strip().lower()
    if name == "text/csv":
        return "csv"
    return "json" if name in _JSON else None


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"The data are not UTF-8: {error}") from error


def _rows(payload: bytes) -> list[Any]:
    try:
        return [_Row(row) for row in csv.reader(io.StringIO(_text(payload), newline="")) if row]
    except csv.Error as error:
        raise InputError(f"The data are not CSV: {error}") from error


def _write_rows(rows: list[Any]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    writer.writerows(row if isinstance(row, list) else [row] for row in rows)
    return target.getvalue().encode()


def _value(payload: bytes) -> list[Any]:
    try:
        return [json.loads(_text(payload))]
    except ValueError as error:
        raise InputError(f"The data are not JSON: {error}") from error


def _values(payload: bytes) -> list[Any]:
    try:
        return [json.loads(line) for line in _text(payload).split("\n") if line.strip()]
    except ValueError as error:
        raise InputError(f"The data are not one JSON value a line: {error}") from error


def _write_values(values: list[Any]) -> bytes:
    lines = (json.dumps(value, separators=(",", ":"), ensure_ascii=False) for value in values)
    return "\n".join(lines).encode()
