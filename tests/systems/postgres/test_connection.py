"""Connections to PostgreSQL, its SQL, and what its errors mean."""

from __future__ import annotations

import asyncio
import datetime as dt
import pickle
import socket
import tomllib
import uuid
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from postgres_server import Database, connection_to, database_on
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.local import Systems, up
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.sql import bind, literal, statement, tokens


@pytest.fixture(scope="module")
def db(local_postgres: Systems) -> Iterator[Database]:
    with database_on(connection_to(local_postgres)) as database:
        yield database


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE", "SSLMODE", "CONNECT_TIMEOUT"):
        monkeypatch.delenv(f"PG{name}", raising=False)
    return monkeypatch


# -------------------------------------------------------------------------------------- connections


def test_a_server_that_goes_as_soon_as_it_is_connected_costs_a_retry(
    local_postgres: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Session) -> None:
        socket.socket(fileno=1 << 20)

    monkeypatch.setattr(Session, "_keep_alive", gone)
    with pytest.raises(RetryError, match="connection is lost"):
        Session(connection_to(local_postgres), name="tests")


def test_asyncpg_has_what_is_taken_from_its_inside(db: Database) -> None:
    """It is private there: a version that was not tried is not installed."""
    extras = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    (asked,) = (Requirement(one) for one in extras["postgres"] if one.startswith("asyncpg"))
    assert any(one.operator == "<" for one in asked.specifier)
    assert version("asyncpg") in asked.specifier
    transport = db.session.transport
    assert isinstance(transport, asyncio.Transport)
    assert isinstance(transport.get_extra_info("socket").fileno(), int)
    described = db.session.describe("SELECT 1.5::numeric(7, 2) AS money")
    assert [(one.name, one.modifier) for one in described] == [("money", (7 << 16 | 2) + 4)]


def test_a_uri_says_all_that_libpq_reads(no_environment):
    made = PostgresConnection.from_uri(
        "postgresql://me%40x:s%2Fcret@db.example:5433/my%20db?sslmode=require&connect_timeout=3"
    )
    assert (made.host, made.port, made.user, made.password) == (
        "db.example",
        5433,
        "me@x",
        "s/cret",
    )
    assert made.database == "my db"
    assert dict(made.options) == {"sslmode": "require", "connect_timeout": "3"}
    assert made.connect_timeout == 3
    assert made.system == "PostgreSQL at db.example:5433"
    socket_ = PostgresConnection.from_uri("postgresql://me@/db?host=/var/run/pg&port=5")
    assert (socket_.host, socket_.port) == ("/var/run/pg", 5)


def test_what_is_left_out_comes_from_the_environment(no_environment):
    for name, value in {
        "PGHOST": "h", "PGPORT": "7", "PGUSER": "u", "PGPASSWORD": "p", "PGSSLMODE": "disable",
    }.items():  # fmt: skip
        no_environment.setenv(name, value)
    made = PostgresConnection.from_uri("postgresql://")
    assert (made.host, made.port, made.user, made.password) == ("h", 7, "u", "p")
    assert made.database == "u"
    assert made.options["sslmode"] == "disable"
    given_ = PostgresConnection("x", 8, "v", "q", "d", {"sslmode": "prefer"})
    assert (given_.host, given_.port, given_.user, given_.password) == ("x", 8, "v", "q")
    assert (given_.database, given_.options["sslmode"]) == ("d", "prefer")


def test_no_secret_shows_and_it_can_be_copied(no_environment):
    made = PostgresConnection("h", user="u", password="top-secret", options={"sslmode": "allow"})
    assert "top-secret" not in repr(made) + str(made) + made.uri + made.system
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(made) == hash(pickle.loads(pickle.dumps(made)))
    assert made.with_database("other").database == "other"


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://h/db",
        "postgresql://h:port/db",
        "postgresql://h/db?sslmode=maybe",
        "postgresql://h/db?colour=red",
        "postgresql://h/db?connect_timeout=soon",
        "postgresql://h/db?port=x",
    ],
)
def test_wrong_uris_are_refused(uri):
    with pytest.raises(InputError, match="PostgreSQL"):
        PostgresConnection.from_uri(uri)


def test_options_of_the_session_reach_the_server(local_postgres):
    made = connection_to(local_postgres, options={"options": "-c work_mem=7MB --geqo=off"})
    with Session(made, name="tests", settings={"statement_timeout": "1234ms"}) as session:
        session.begin()
        asked = "SELECT current_setting('{}')"
        values = [
            session.fetch(asked.format(name))[0][0]
            for name in ("work_mem", "geqo", "statement_timeout", "TimeZone", "application_name")
        ]
    assert values == ["7MB", "off", "1234ms", "UTC", "tests"]
    with pytest.raises(InputError, match="Write each as -c name=value"):
        Session(connection_to(local_postgres, options={"options": "-x"}), name="tests")


# ------------------------------------------------------------------------------------------- errors


def refusal(connection: PostgresConnection) -> TradewindError:
    with pytest.raises(TradewindError) as caught:
        Session(connection, name="tests")
    return caught.value


def test_ways_not_to_get_in(local_postgres):
    wrong = refusal(connection_to(local_postgres, password="very-wrong"))
    assert isinstance(wrong, SetupError)
    assert "Check user and password" in str(wrong)
    assert "very-wrong" not in str(wrong)
    missing = refusal(connection_to(local_postgres, database="there_is_none"))
    assert isinstance(missing, SetupError)
    assert "there_is_none" in str(missing)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        refused = refusal(connection_to(local_postgres, port=port))
    assert isinstance(refused, RetryError)
    assert f"127.0.0.1:{port}" in str(refused)
    unknown = refusal(connection_to(local_postgres, host="no-such-host.invalid"))
    assert isinstance(unknown, SetupError | RetryError)
    assert "no-such-host.invalid" in str(unknown)
    folder = refusal(connection_to(local_postgres, host="/there/is/none"))
    assert isinstance(folder, SetupError)
    secure = refusal(connection_to(local_postgres, options={"sslmode": "require"}))
    assert isinstance(secure, SetupError)
    assert "no TLS" in str(secure)
    options = {"sslmode": "verify-ca", "sslrootcert": "/there/is/none.crt"}
    assert "sslrootcert" in str(refusal(connection_to(local_postgres, options=options)))


def test_a_server_that_says_nothing_is_given_up(local_postgres):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        silent = connection_to(
            local_postgres, port=deaf.getsockname()[1], options={"connect_timeout": "0.3"}
        )
        assert "no answer in time" in str(refusal(silent))


def test_a_server_that_talks_nonsense_is_told(local_postgres):
    with socket.socket() as strange:
        strange.bind(("127.0.0.1", 0))
        strange.listen()
        other = connection_to(
            local_postgres, port=strange.getsockname()[1], options={"sslmode": "disable"}
        )
        import threading

        def answer() -> None:
            link, _ = strange.accept()
            with link:
                link.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        assert isinstance(refusal(other), RetryError)
        thread.join(20)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1 FROM nowhere", SetupError),
        ("SELECT 'x'::int", InputError),
        ("DO $$ BEGIN RAISE serialization_failure; END $$", RetryError),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", RetryError),
        ("DO $$ BEGIN RAISE disk_full USING MESSAGE = 'no room'; END $$", RetryError),
        ("DO $$ BEGIN RAISE out_of_memory; END $$", RetryError),
        ("DO $$ BEGIN RAISE insufficient_privilege; END $$", SetupError),
        ("DO $$ BEGIN RAISE admin_shutdown; END $$", RetryError),
        ("DO $$ BEGIN RAISE EXCEPTION 'own words'; END $$", InputError),
        ("DO $$ BEGIN RAISE io_error; END $$", RetryError),
    ],
)
def test_states_mean_what_to_do(db, sql, kind):
    with pytest.raises(kind, match=r"PostgreSQL at .*SQLSTATE") as caught:
        db.run(sql)
    assert type(caught.value) is kind


def test_a_restarted_server_is_worth_a_retry(tmp_path):
    with up(["postgres"], data=tmp_path) as systems:
        source = PostgresSource(
            connection_to(systems), "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"
        )
        batches = source.batches()
        next(iter(batches))
    with pytest.raises(RetryError, match="PostgreSQL at"):
        list(batches)
    batches.close()
    with pytest.raises(RetryError, match="PostgreSQL at"):
        source.batches()
    with up(["postgres"], data=tmp_path) as systems:
        again = PostgresSource(connection_to(systems), "SELECT 1 AS a")
        with again.batches() as once:
            assert [batch.num_rows for batch in once] == [1]


# ---------------------------------------------------------------------------------------------- SQL

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=9),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.text("'\\\"$%s-/*;() E\n", max_size=12),
    st.binary(max_size=9),
    st.dates(),
    st.datetimes(),
    st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)),
    st.times(),
    st.uuids(),
)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=4))
def test_the_server_reads_literals_as_the_values(db, values):
    marks = ", ".join("%s" for _ in values)
    found = db.rows(bind(f"SELECT {marks}", values))[0]
    for value, read in zip(values, found, strict=True):
        if isinstance(value, int) and not isinstance(value, bool):
            assert int(read) == value
        elif isinstance(value, float) and not isinstance(read, float):
            assert float(read) == value  # a number without a point is a numeric
        else:
            assert read == value


@given(text=st.text("'\"$ab%s(1)/*- \n\\E;é"))
def test_tokens_are_the_whole_query_or_it_is_refused(text):
    try:
        parts = list(tokens(text))
    except InputError:
        return
    assert "".join(part.text for part in parts) == text


HOSTILE = "x'; DROP TABLE victims; --"


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("SELECT 'a''%%s' || %s", None),
        ("SELECT $$ 'in %%s $1 $$ || %s", None),
        ("SELECT $a$ $$ ' $a$ || %s", None),
        ("SELECT E'a\\'b' || %s", None),
        ("SELECT E'a'\n'\\'b' || %s", None),
        ('SELECT %s AS "a%%s\'"', None),
        ("SELECT /* ' /* %%s */ ' */ %s -- it's", None),
        ("SELECT date'2024-01-01' || %s", None),
        ("SELECT 1 AS a$1, %s", None),
    ],
)
def test_what_looks_like_a_placeholder_and_is_none_stays(db, query, where):
    bound = bind(query, [HOSTILE])
    assert literal(HOSTILE) in bound
    assert bound.count("DROP") == 1
    assert HOSTILE in "".join(map(str, db.rows(statement(bound))[0]))


@pytest.mark.parametrize(
    ("query", "parameters", "words"),
    [
        ("SELECT %s, %s", [1], "2 placeholders"),
        ("SELECT 1", [1], "0 placeholders"),
        ("SELECT $1, $3", [1, 2], "Give one for each"),
        ("SELECT %(a)s", {"b": 1}, "'a'"),
        ("SELECT %s", {"b": 1}, "mapping"),
        ("SELECT %(a)s", [1], "sequence"),
        ("SELECT '%s'", ["x"], "take the quotes away"),
        ("SELECT '%(a)s'", {"a": "x"}, "take the quotes away"),
        ("SELECT %s", "x", "not one string"),
        ("SELECT %s", 1, "not one value"),
        ("SELECT %s", ["a\0b"], "NUL"),
        ("SELECT %s", ["\ud800"], "not valid Unicode"),
        ("SELECT %s", [object()], "type object"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(query, parameters, words):
    with pytest.raises(InputError, match=words):
        bind(query, parameters)


def test_literals_have_their_types(db):
    kinds = {
        "1.5": Decimal("1.5"),
        "'2024-01-01'": dt.date(2024, 1, 1),
        "'1 day 2 s'::interval": dt.timedelta(days=1, seconds=2),
        "ARRAY[1, NULL]": [1, None],
        "'{\"a\": 1}'::jsonb": {"a": 1},
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid": uuid.UUID(
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
        ),
        "'NaN'::numeric": Decimal("NaN"),
        "'Infinity'::float8": float("inf"),
    }
    for sql, value in kinds.items():
        assert db.value(f"SELECT {sql} = {literal(value)}") is True
    assert db.value(f"SELECT 3 -{literal(-2)}") == 5
    assert db.value(f"SELECT 1 IN {literal(())}") is None
    assert db.value(f"SELECT 'b' IN {literal(('a', 'b'))}") is True
