"""What every table does as a target, whatever its system."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.receipt import Receipt
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.testing.memory_source import MemorySource

__all__ = ["SCHEMA", "TableConformance"]

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("day", pa.string())])
"""The columns of the table: a key, a text that may be NULL, and a text to slice by."""

_ROWS = [
    (1, "one", "monday"),
    (2, None, "monday"),
    (3, "three ' \" \\ \u00e9 \U0001f600", "tuesday"),
]


class TableConformance:
    """Tests that pass for every table.

    A subclass gives `table` and `rows`, for a table with the columns of `SCHEMA` that is made anew
    and empty for each test, and whose key is ``id``.
    """

    modes: ClassVar[tuple[str, ...]] = ("append", "replace", "upsert")
    """The modes that it offers."""

    def table(self, **options: Any) -> Target:
        """Make the target.

        Args:
            options: Arguments of its class: ``mode``, ``slice``, ``keys``, ``create``; and
                ``name`` for another table than the one that is there.
        """
        raise NotImplementedError

    def rows(self, name: str | None = None) -> list[tuple[Any, ...]]:
        """Read ``id, name, day`` of all rows in the order of ``id``, without Tradewind.

        Args:
            name: Of another table than the one that is there.
        """
        raise NotImplementedError

    def _need(self, mode: str) -> None:
        if mode not in self.modes:
            pytest.skip(f"this table does not offer {mode}")

    def _move(
        self,
        rows: Sequence[tuple[Any, ...]],
        target: Target,
        owner: Owner | None = None,
        **options: Any,
    ) -> Receipt:
        columns: list[Any] = list(zip(*rows, strict=True)) or [[], [], []]
        arrays = [
            pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)
        ]
        source = MemorySource(pa.table(arrays, schema=SCHEMA), batch_rows=2, **options)
        return transfer(source, target, owner or self._owner())

    def _owner(self) -> Owner:
        return Owner("conformance", uuid.uuid4().hex, "table")

    def test_rows_arrive_as_they_were(self) -> None:
        receipt = self._move(_ROWS, self.table())
        assert receipt.rows == 3
        assert self.rows() == _ROWS

    def test_no_rows_are_a_success(self) -> None:
        assert self._move([], self.table()).rows == 0
        assert self.rows() == []

    def test_an_owner_appends_once(self) -> None:
        owner = self._owner()
        assert not self._move(_ROWS, self.table(), owner).earlier
        again = self._move(_ROWS, self.table(), owner)
        assert again.earlier
        assert self.rows() == _ROWS

    def test_another_owner_appends_too(self) -> None:
        self._move(_ROWS[:1], self.table())
        self._move(_ROWS[1:], self.table())
        assert self.rows() == _ROWS

    @pytest.mark.parametrize("after", [0, 1, 2])
    def test_what_fails_on_the_way_leaves_nothing(self, after: int) -> None:
        owner = self._owner()
        with pytest.raises(RetryError, match="gone"):
            self._move(_ROWS, self.table(), owner, fail_after=after, error=RetryError("gone"))
        assert self.rows() == []
        self._move(_ROWS, self.table(), owner)
        assert self.rows() == _ROWS

    def test_replace_puts_all_in_the_place_of_all(self) -> None:
        self._need("replace")
        self._move(_ROWS, self.table())
        self._move(_ROWS[2:], self.table(mode="replace"))
        assert self.rows() == _ROWS[2:]

    def test_a_failed_replace_leaves_what_was_there(self) -> None:
        self._need("replace")
        self._move(_ROWS, self.table())
        with pytest.raises(RetryError, match="gone"):
            self._move(_ROWS, self.table(mode="replace"), fail_after=1, error=RetryError("gone"))
        assert self.rows() == _ROWS

    def test_a_slice_is_replaced_alone_and_again(self) -> None:
        self._need("replace")
        self._move(_ROWS, self.table())
        new = [(4, "four", "monday")]
        for _ in range(2):
            self._move(new, self.table(mode="replace", slice={"day": "monday"}))
            assert self.rows() == [_ROWS[2], *new]

    def test_rows_outside_of_the_slice_are_refused(self) -> None:
        self._need("replace")
        self._move(_ROWS, self.table())
        with pytest.raises(InputError):
            self._move([(4, "four", "sunday")], self.table(mode="replace", slice={"day": "monday"}))
        assert self.rows() == _ROWS

    def test_upsert_writes_over_the_same_key(self) -> None:
        self._need("upsert")
        self._move(_ROWS, self.table())
        self._move(
            [(2, "two", "sunday"), (4, "four", "sunday")], self.table(mode="upsert", keys=("id",))
        )
        assert self.rows() == [_ROWS[0], (2, "two", "sunday"), _ROWS[2], (4, "four", "sunday")]

    def test_a_missing_table_is_told(self) -> None:
        with pytest.raises(TradewindError, match="absent_table"):
            self._move(_ROWS, self.table(name="absent_table"))

    def test_a_missing_table_is_made_where_asked_for(self) -> None:
        self._move(_ROWS, self.table(name="made_table", create=True))
        assert self.rows("made_table") == _ROWS

    def test_a_column_that_the_table_lacks_is_refused_before_a_row_is_read(self) -> None:
        table = pa.table({"id": [1], "no_such_column": ["x"]})
        source = MemorySource(table, fail_after=0, error=AssertionError("a row was read"))
        with pytest.raises(InputError, match="no_such_column"):
            transfer(source, self.table(), self._owner())

    def test_a_number_that_does_not_fit_is_refused(self) -> None:
        table = pa.table({"id": pa.array(["1", "not a number"]), "name": ["a", "b"]})
        with pytest.raises(TradewindError):
            transfer(MemorySource(table), self.table(), self._owner())
        assert self.rows() == []

    def test_a_plan_touches_nothing(self) -> None:
        assert self.table().plan(SCHEMA)
        assert self.rows() == []

    def test_it_names_itself_in_a_line(self) -> None:
        assert "\n" not in self.table().describe()
        assert self.table().identity() == self.table().identity()
