"""What a system is to Tradewind: one description, found by an entry point of ``tradewind.systems``.

Everything that lists systems (schemes of URIs, types of Airflow connections, ``tradewind up``,
``tradewind sweep``, hints of what to install, the tables in the documentation) reads these
descriptions. They name classes and functions as ``module:name``, which are imported when they are
used: reading all descriptions imports no client library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["System"]


@dataclass(frozen=True, kw_only=True)
class System:
    """One outside system, and what it offers.

    Args:
        name: What it is called, like ``postgres``: the name of its folder, of its entry point and,
            where it is swept, of its option of ``tradewind sweep``.
        title: What people call it, like ``PostgreSQL``.
        schemes: Schemes of its URIs; the first is the usual one.
        aliases: Other names of a scheme, and the scheme that each stands for.
        source: The `tradewind.move.source.Source`, as ``module:class``.
        target: The `tradewind.move.target.Target`, as ``module:class``.
        store: The `tradewind.move.store.Store`, as ``module:class``. Objects of every store are
            source and target by themselves.
        formats: Formats that come with it: names, and ``module:class`` of each.
        connection_types: Types of Airflow connections that lead to it.
        sql_connection_types: Types of Airflow connections that lead to another system (a cloud's
            store, say), and to this one where SQL is asked for.
        default_connection: Id of the Airflow connection that is meant where none is named.
        default_port: The port of its server where none is named.
        connection: A function ``(connection, hook_params)``, as ``module:function``: it reads the
            fields of an Airflow connection and returns the first argument of `source` and `target`.
            For a store, ``(bucket, conn_id, **options)``, which returns the store.
        dialect: Of an SQL database, what OpenLineage's SQL parser calls its SQL. Only such a system
            is reached by ``Sql`` and ``Table`` in operators.
        in_file: Whether a database of it is a file of this machine.
        host_in_connection: Whether URIs of its store may leave the host to the Airflow connection,
            like ``sftp:///path``; `connection` is then told an empty bucket.
        backend: The `tradewind.run.backend.Backend`, as ``module:class``.
        sweep: A function ``(place)``, as ``module:function``: it yields a name and an iterator of
            `tradewind.sweep.leftover.Leftover` for each kind of leftover at a place, which is what
            follows the option of ``tradewind sweep`` as it was typed. Where it may be an Airflow
            connection, that is written ``connection:ID``.
        sweep_place: What a place is, in a word in capitals, for ``tradewind sweep --help``.
        sweep_option: The option of ``tradewind sweep`` where that is not `name`, without dashes.
        sweep_help: What is found there, and how a place is written, for ``--help``.
        local: How it is started on this machine, as ``module:name`` of a
            `tradewind.local.system.System`.
        install: What installs its client library, like ``pip install 'tradewind[postgres]'``.
        doctor: A function ``(settings, named, timeout)``, as ``module:function``, for ``tradewind
            doctor``: it yields a `tradewind.doctor.Check` for each thing that it finds out, and
            writes nothing. See `tradewind.doctor.checks_of`, also for systems without one.
    """

    name: str
    title: str
    schemes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    target: str | None = None
    store: str | None = None
    formats: Mapping[str, str] = field(default_factory=dict)
    connection_types: tuple[str, ...] = ()
    sql_connection_types: tuple[str, ...] = ()
    default_connection: str | None = None
    default_port: int | None = None
    connection: str | None = None
    dialect: str | None = None
    in_file: bool = False
    host_in_connection: bool = False
    backend: str | None = None
    sweep: str | None = None
    sweep_place: str = "PLACE"
    sweep_option: str | None = None
    sweep_help: str = ""
    local: str | None = None
    install: str | None = None
    doctor: str | None = None
