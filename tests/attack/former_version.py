"""Lets task runs have no identity, as in the former version, which kept none.

Imported by an Airflow of a test before it runs anything.
"""

from __future__ import annotations

from tradewind.airflow import owner

owner.identity_of = lambda context: None  # type: ignore[assignment]
