"""RecordIO as a format of tables: numeric columns are features, one of them may be the label.

The bytes are those of `recordio.py`, which SageMaker's algorithms read. They carry no names and no
nulls: columns come back as ``feature_0``, ``feature_1``, ... unless a schema
is given.

Memory: as `tradewind.systems.sagemaker.recordio` says, and one batch as a matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.types import UnfitValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RecordIOFormat"]

_ROWS = 8192
_DTYPES = {"float32": np.float32, "float64": np.float64, "int32": np.int32}
#: The integers that a type of floats holds exactly.
_EXACT = {"float32": 1 << 24, "float64": 1 << 53, "int32": (1 << 31) - 1}


@dataclass(frozen=True)
class RecordIOFormat(Format):
    """RecordIO-protobuf of dense rows.

    Args:
        label: Name of the column that is the label; None where there is none.
        type: ``float32``, which SageMaker's algorithms read, ``float64`` or ``int32``: of all
            features and the label. A number that it cannot hold exactly is an error, but floats
            are rounded to ``float32`` as every training does.

    Raises:
        InputError: There is no such type.
    """

    label: str | None = None
    type: str = "float32"

    name: ClassVar[str] = "recordio"
    extensions: ClassVar[tuple[str, ...]] = (".recordio", ".rec")
    content_type: ClassVar[str] = "application/x-recordio-protobuf"

    def __post_init__(self) -> None:
        if self.type not in _DTYPES:
            raise InputError(f"RecordIO: type is {self.type!r}; choose from {', '.join(_DTYPES)}.")

    def encode(self, batches: Batches) -> Iterator[bytes]:
        """Write records; see `Format.encode`."""
        from tradewind.systems.sagemaker import recordio

        with batches:
            features, label = self._columns(batches.schema)
            for batch in batches:
                for start in range(0, batch.num_rows, _ROWS):
                    piece = batch.slice(start, _ROWS)
                    matrix = np.empty((piece.num_rows, len(features)), _DTYPES[self.type])
                    for place, index in enumerate(features):
                        matrix[:, place] = self._numbers(piece, index)
                    labels = None if label is None else self._numbers(piece, label)
                    for chunk in recordio.encode([(matrix, labels)]):
                        yield bytes(chunk)

    def _columns(self, schema: pa.Schema) -> tuple[list[int], int | None]:
        for field in schema:
            kind = field.type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise InputError(
                    f"Column {field.name!r}: RecordIO holds numbers only, not {kind}. Leave it out "
                    "of the query, or turn it into a number there."
                )
        label = None
        if self.label is not None:
            if schema.names.count(self.label) != 1:
                raise InputError(
                    f"RecordIO: the label {self.label!r} is not one of the columns "
                    f"{', '.join(schema.names)}."
                )
            label = schema.names.index(self.label)
        features = [index for index in range(len(schema)) if index != label]
        if not features:
            raise InputError("RecordIO needs at least one column of features.")
        return features, label

    def _numbers(self, batch: pa.RecordBatch, index: int) -> NDArray[Any]:
        array = batch.column(index)
        name = batch.schema.names[index]
        if array.null_count:
            raise UnfitValueError(
                name, None, where="RecordIO", remedy="Put a number in its place in the query."
            )
        numbers = array.to_numpy(zero_copy_only=False)
        most = _EXACT[self.type]
        if numbers.dtype.kind in "iu" and len(numbers):
            least, greatest = int(numbers.min()), int(numbers.max())
            if greatest > most or least < -most - (self.type == "int32"):
                raise UnfitValueError(
                    name,
                    greatest if greatest > most else least,
                    where=self.type,
                    remedy='Give the format type="float64", or scale the numbers in the query.',
                )
        elif self.type == "int32":
            whole = np.isfinite(numbers) & (np.abs(numbers) <= most)
            whole[whole] = numbers[whole] == np.trunc(numbers[whole])
            if not whole.all():
                raise UnfitValueError(
                    name,
                    float(numbers[~whole][0]),
                    where="int32",
                    remedy='Give the format type="float32", or round in the query.',
                )
        converted: NDArray[Any] = numbers.astype(_DTYPES[self.type])
        return converted

    def decode(self, chunks: Iterable[bytes], *, schema: pa.Schema | None = None) -> Batches:
        """Read records; see `Format.decode`.

        Columns are in the order of the features; the label is the column that `label` names, the
        last one without a schema, where it is called ``label`` unless `label` says otherwise.
        """
        from tradewind.systems.sagemaker import recordio

        decoded = recordio.decode(chunks, batch_size=_ROWS)
        first = next(decoded, None)
        if schema is None:
            if first is None:
                raise InputError(
                    "RecordIO: the stream is empty, which says nothing of columns. Give a schema."
                )
            schema = self._schema(first)
        given = schema
        label = self.label if self.label is not None else "label"

        def generate() -> Iterator[pa.RecordBatch]:
            batch = first
            while batch is not None:
                yield self._batch(batch, given, label)
                batch = next(decoded, None)

        return Batches(schema, generate())

    def _schema(self, batch: Any) -> pa.Schema:
        kind = pa.from_numpy_dtype(batch.features.dtype)
        fields = [pa.field(f"feature_{i}", kind) for i in range(batch.features.shape[1])]
        if batch.labels is not None:
            fields.append(pa.field(self.label or "label", pa.from_numpy_dtype(batch.labels.dtype)))
        return pa.schema(fields)

    @staticmethod
    def _batch(batch: Any, schema: pa.Schema, label: str) -> pa.RecordBatch:
        columns = batch.features.shape[1] + (batch.labels is not None)
        if columns != len(schema) or (batch.labels is not None and label not in schema.names):
            raise InputError(
                f"RecordIO: rows have {batch.features.shape[1]} features and "
                f"{'a' if batch.labels is not None else 'no'} label; the schema has "
                f"{', '.join(schema.names)}. Correct it, or name the label."
            )
        arrays = []
        place = 0
        for field in schema:
            if batch.labels is not None and field.name == label:
                numbers = batch.labels
            else:
                numbers = batch.features[:, place]
                place += 1
            try:
                arrays.append(pa.array(np.ascontiguousarray(numbers)).cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise UnfitValueError(
                    field.name, str(numbers.dtype), where=str(field.type), remedy=f"{error}."
                ) from None
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
