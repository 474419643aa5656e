"""What becomes of texts in tables, type by type: run by the tests, shown on the page.

Each stands for every road: CSV, texts of JSON lines and Parquet; of MariaDB LOAD DATA and INSERT.
"""

from __future__ import annotations

__all__ = ["BIGQUERY", "MARIADB", "POSTGRESQL", "REFUSED", "table"]

REFUSED = None

POSTGRESQL: list[tuple[str, dict[str, str | None]]] = [
    ("numeric(10,2)", {"1.250": "1.25", "1.5e0": "1.50", " 1.5": "1.50", "NaN": "NaN",
                       "1.255": REFUSED, "-0.001": REFUSED, "1e-3": REFUSED}),
    ("exact_fee", {"1.25": "1.25", "1.255": REFUSED}),
    ("numeric", {"1.23456789012345678901234567890": "1.23456789012345678901234567890"}),
    ("numeric(5,-2)", {"1200": "1200", "1234": REFUSED}),
    ("real", {"0.1": "0.1", "0.12345679": "0.12345679", "NaN": "NaN", "0.123456789": REFUSED,
              "16777217": REFUSED}),
    ("double precision", {"0.29999999999999999": "0.3", "1.000000000000000056e-01": "0.1",
                          "-Infinity": "-Infinity", "9007199254740993": REFUSED,
                          "0.12345678901234567890": REFUSED}),
    ("money", {"1.5": "$1.50", "1.005": REFUSED}),
    ('"char"', {"a": "a", "abc": REFUSED}),
    ("name", {"a": "a", "x" * 64: REFUSED}),
    ("varchar(2)", {"é€": "é€", "ab ": REFUSED, "abc": REFUSED}),
    ("timestamp(0)", {"2026-01-31 00:00:00.000": "2026-01-31 00:00:00",
                      "2026-01-31 00:00:00.5": REFUSED}),
    ("timestamp", {"infinity": "infinity", "2026-01-31T01:02:03.123456": "2026-01-31 "
                   "01:02:03.123456", "2026-01-31 00:00:00.1234567": REFUSED, "today": REFUSED,
                   "26-01-31": REFUSED, "2016-12-31 23:59:60": REFUSED,
                   "2026-01-31T12:00:00+05:00": "2026-01-31 07:00:00",
                   "2026-01-31 12:00:00 EST": REFUSED}),
    ("timestamptz(3)", {"2026-01-31 00:00:00.123+02": "2026-01-30 22:00:00.123+00",
                        "2026-01-31 00:00:00.1234+02": REFUSED}),
    ("date", {"0044-03-15 BC": "0044-03-15 BC", "20260131": "2026-01-31", "260131": REFUSED,
              "tomorrow": REFUSED}),
    ("time(1)", {"24:00:00": "24:00:00", "10:00:00.50": "10:00:00.5", "10:00:00.55": REFUSED,
                 "now": REFUSED}),
    ("timetz", {"10:00:00.5+02": "10:00:00.5+02", "10:00:00-05": "10:00:00-05",
                "10:00:00.1234567+02": REFUSED, "2026-01-31 10:00:00+02": REFUSED}),
    ("interval", {"1.5 days": "P1DT12H", "1.5 milliseconds": "PT0.0015S", "PT0.5M": "PT30S",
                  "0.5 months": REFUSED, "1.5 years": REFUSED, "P0.5M": REFUSED}),
    ("interval(0)", {"PT1S": "PT1S", "PT1.5S": REFUSED, "1.5 seconds": REFUSED}),
    ("interval year", {"1 year": "P1Y", "P1Y2M": REFUSED, "1 year 2 days": REFUSED}),
    ("interval day to second(2)", {"P1DT1.23S": "P1DT1.23S", "P1DT1.234S": REFUSED}),
    ("int", {"007": "7", "1.5": REFUSED, "0x1F": REFUSED}),
    ("bit(3)", {"101": "101", "1010": REFUSED}),
    ("int4range", {"[1,3)": "[1,3)", "[1,2]": "[1,3)"}),
    ("tsrange", {"[2026-01-31,infinity)": '["2026-01-31 00:00:00",infinity)', "empty": "empty",
                 "[2026-01-31 12:00+05,)": REFUSED, "[2026-01-31T12:00:00.1234567,)": REFUSED}),
    ("daterange", {"[2026-01-31,2026-02-02)": "[2026-01-31,2026-02-02)",
                   "[2026-01-31 12:00,)": REFUSED}),
    ("tstzrange", {"[2026-01-31 12:00+05,)": '["2026-01-31 07:00:00+00",)'}),
    ("tsmultirange", {"{[2026-01-31 12:00+05,2026-02-01)}": REFUSED}),
    ("timestamp[]", {"{2026-01-31,NULL}": '{"2026-01-31 00:00:00",NULL}',
                     '{"2026-01-31T12:00:00+05:00"}': REFUSED,
                     '["2026-01-31T12:00:00+05:00"]': REFUSED}),
    ("date[]", {'{"2026-01-31 12:00"}': REFUSED}),
    ("varchar(2)[]", {"{a,b,cd}": "{a,b,cd}", '["ab","cd"]': "{ab,cd}", "{abc}": REFUSED,
                      '{"ab "}': REFUSED}),
    ("exact_price[]", {"{1.25}": "{1.25}", "{1.255}": REFUSED}),
    ("exact_pair", {"(1.25,2026-01-31)": '(1.25,"2026-01-31 00:00:00")', "(,)": "(,)",
                    "(1.255,)": REFUSED, "(1,2026-01-31T12:00:00+05:00)": REFUSED}),
    ("exact_domain", {"(1.25,)": "(1.25,)", "(1.255,)": REFUSED}),
    ("exact_pair[]", {'{"(1.25,)"}': '{"(1.25,)"}', '{"(1.255,)"}': REFUSED}),
    ("exact_deep", {'("(1.25,)",x)': '("(1.25,)",x)', '("(1.255,)",x)': REFUSED}),
    ("point", {"(1.5,2)": "(1.5,2)", "(0.12345678901234567890,1)": REFUSED}),
    ("oid", {"7": "7", "-1": REFUSED}),
    ("json", {'{"a": 1}': '{"a": 1}', "no": REFUSED}),
]  # fmt: skip

MARIADB: list[tuple[str, dict[str, str | None]]] = [
    ("DECIMAL(10,2)", {"1.250": "1.25", "+5": "5.00", "1.255": REFUSED, "1e-3": REFUSED,
                       "NaN": REFUSED, "0x1F": REFUSED, "99999999999": REFUSED}),
    ("DOUBLE", {"0.29999999999999999": "0.3", "9007199254740993": REFUSED,
                "0.12345678901234567890": REFUSED, "1e400": REFUSED, "1e-400": REFUSED}),
    ("FLOAT", {"0.1": "0.1", "1e-46": REFUSED, "0.123456789": REFUSED, "16777217": REFUSED}),
    ("FLOAT(7,2)", {"1.25": "1.25", "1.255": REFUSED}),
    ("INT", {"007": "7", "true": "1", "1e3": "1000", "1.0": "1", "1.5": REFUSED, "": REFUSED,
             "x": REFUSED, "3000000000": REFUSED}),
    ("VARCHAR(2)", {"é€": "é€", "abc": REFUSED, "ab ": REFUSED}),
    ("CHAR(2)", {"ab": "ab", "abc": REFUSED}),
    ("TINYTEXT", {"x" * 255: "x" * 255, "x" * 256: REFUSED}),
    ("VARCHAR(9) CHARACTER SET latin1", {"é": "é", "漢": REFUSED}),
    ("DATETIME", {"2026-01-31 00:00:00.0": "2026-01-31 00:00:00",
                  "0001-01-01": "0001-01-01 00:00:00", "2026-01-31 00:00:00.5": REFUSED,
                  "0000-00-00": REFUSED, "2026-00-10": REFUSED, "26-01-31": REFUSED,
                  "10000-01-01": REFUSED, "2026-02-30": REFUSED,
                  "2026-01-31T12:00:00+05:00": "2026-01-31 07:00:00",
                  "2026-01-31 12:00:00Z": "2026-01-31 12:00:00",
                  "2026-01-31 12:00:00.5+01": REFUSED, "2026-01-31 12:00:00 EST": REFUSED}),
    ("DATETIME(3)", {"2026-01-31 00:00:00.1230": "2026-01-31 00:00:00.123",
                     "2026-01-31 00:00:00.1234": REFUSED}),
    ("TIMESTAMP", {"2026-01-31T12:00:00+05:00": "2026-01-31 07:00:00",
                   "2026-01-31 00:00:00.5": REFUSED, "1969-12-31": REFUSED}),
    ("DATE", {"2026-01-31": "2026-01-31", "2026-01-31T00:00:00Z": REFUSED,
              "2026-01-31 12:00:00": REFUSED, "2026-13-01": REFUSED}),
    ("TIME", {"838:59:59": "838:59:59", "-01:00:00": "-01:00:00", "839:00:00": REFUSED,
              "10:00:00.5": REFUSED, "10": REFUSED, "10:00:00+05": REFUSED}),
    ("YEAR", {"2026": "2026", "26": REFUSED, "0": "0000", "2026.0": "2026",
              "2026.5": REFUSED, "3000": REFUSED}),
    ("ENUM('a','b','it''s')", {"a": "a", "it's": "it's", "A": REFUSED, "1": REFUSED,
                               "": REFUSED}),
    ("SET('a','b')", {"b,a": "a,b", "": "", "c": REFUSED, "A": REFUSED, "3": REFUSED}),
    ("BINARY(2)", {"ab": "ab", "a": REFUSED}),
    ("BIT(4)", {"3": "\x03", "true": "\x01", "16": REFUSED, "b'11'": REFUSED}),
    ("JSON", {'{"a":1}': '{"a":1}', "nope": REFUSED}),
]  # fmt: skip

BIGQUERY: list[tuple[str, dict[str, str | None]]] = [
    ("INT64", {"7": "7", "-9223372036854775808": "-9223372036854775808", "1.5": REFUSED,
               "0x1F": REFUSED, "9223372036854775808": REFUSED}),
    ("FLOAT64", {"0.1": "0.1", "0.29999999999999999": "0.3", "9007199254740993": REFUSED,
                 "0.12345678901234567890": REFUSED, "1e-400": REFUSED, "1e400": REFUSED}),
    ("NUMERIC", {"1.250": "1.250000000", "1.0123456789": REFUSED, "x": REFUSED}),
    ("BOOL", {"true": "True", "0": "False", "yes": REFUSED}),
    ("STRING(2)", {"é€": "é€", "": "", "abc": REFUSED}),
    ("DATE", {"2026-01-31": "2026-01-31", "2026-02-30": REFUSED, "2026-01-31 12:00:00": REFUSED,
              "0000-01-01": REFUSED}),
    ("DATETIME", {"2026-01-31T12:00:00.123456": "2026-01-31 12:00:00.123456",
                  "2026-01-31T12:00:00+05:00": REFUSED, "2026-01-31 12:00:00.1234567": REFUSED}),
    ("TIMESTAMP", {"2026-01-31T12:00:00+05:00": "2026-01-31 07:00:00+00:00",
                   "2026-01-31 12:00:00Z": "2026-01-31 12:00:00+00:00",
                   "2026-01-31 12:00:00": REFUSED}),
    ("TIME", {"12:00:00.5": "12:00:00.500000", "24:00:00": REFUSED, "10:00:00+05": REFUSED}),
]  # fmt: skip


def table() -> str:
    """Write the tables of the page: one a target."""
    parts = []
    for target, cases in (
        ("PostgreSQL", POSTGRESQL),
        ("MariaDB", MARIADB),
        ("BigQuery", BIGQUERY),
    ):
        lines = [f"### Texts into {target}", "", "| type | kept | refused |", "| --- | --- | --- |"]
        for type_, values in cases:
            kept = [_kept(text, found) for text, found in values.items() if found is not REFUSED]
            refused = [_shown(text) for text, found in values.items() if found is REFUSED]
            lines.append(f"| {_shown(type_)} | {', '.join(kept)} | {', '.join(refused)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _kept(text: str, found: str) -> str:
    return _shown(text) if text == found else f"{_shown(text)} as {_shown(found)}"


def _shown(text: str) -> str:
    if len(text) > 40:
        return f"{_shown(text[:3])}... ({len(text)})"
    escaped = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
    escaped = escaped.replace("|", r"\|")
    if not escaped:
        return "an empty text"
    return f"`` {escaped} ``" if "`" in escaped or escaped != escaped.strip() else f"`{escaped}`"
