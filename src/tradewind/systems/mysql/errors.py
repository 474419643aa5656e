"""What the errors of MySQL and MariaDB mean to a caller, by their numbers.

The numbers: https://mariadb.com/kb/en/mariadb-error-code-reference/ and
https://dev.mysql.com/doc/mysql-errors/8.4/en/.
"""

from __future__ import annotations

from typing import Any

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.interface import target_option

__all__ = ["remedy_of_data", "said_by_server", "translated"]

_SETUP = {
    1044: "Grant the user the database, or name another one.",
    1045: "Check user and password.",
    1049: "Create the database, or name another one.",
    1130: "Let the server admit this machine.",
    1142: "Grant the permission to the user, or connect as another one.",
    1143: "Grant the permission to the user, or connect as another one.",
    1146: "Create the table, or name it with its database.",
    1148: "Set local_infile=ON on the server, or give {insert}.",
    1227: "Grant the privilege to the user, or connect as another one.",
    1251: "The client library cannot log in this way: change the user's plugin.",
    1698: "Check user and password.",
    2005: "There is no host of this name: check the host.",
    2026: "There is no secure connection: check ssl_mode and ssl_ca.",
    2059: "The client library lacks the login's plugin: change the user's plugin.",
    2061: "The login wants a secure connection: set ssl_mode=REQUIRED.",
    2068: "Set local_infile=ON on the server, or give {insert}.",
    3118: "The account is locked: ask who runs the server.",
    3159: "The server wants a secure connection: set ssl_mode=REQUIRED.",
    3948: "Set local_infile=ON on the server, or give {insert}.",
    4166: "Set local_infile=ON on the server, or give {insert}.",
}
_RETRY = {
    1021: "The server's disk is full: free space there, then try again.",
    1040: "The server has no free connection: try again, or raise its limit.",
    1053: "The server is shutting down: try again.",
    1114: "The server has no room for it: free space there, then try again.",
    1129: "The server blocks this host: run mariadb-admin flush-hosts, then try again.",
    1158: "Try again.",
    1159: "Try again.",
    1160: "Try again.",
    1161: "Try again.",
    1180: "Try again.",
    1203: "The user has too many connections: try again.",
    1205: "Others hold locks: try again.",
    1213: "Others wrote the same rows at the same time: try again.",
    1226: "The user's limit is reached: try again later.",
    1290: "The server only reads now: try again, or connect to its primary.",
    1317: "Somebody ended the query: try again.",
    1836: "The server only reads now: try again, or connect to its primary.",
    1927: "Somebody ended the connection: try again.",
    1969: "Raise statement_timeout or make the query cheaper, then try again.",
    2002: "Check host and port, and that the server runs, then try again.",
    2003: "Check host and port, and that the server runs, then try again.",
    2006: "The connection is lost: try again.",
    2012: "The connection is lost: try again.",
    2013: "The connection is lost: try again.",
    2014: "Try again.",
    2027: "The connection is damaged: try again.",
    2055: "The connection is lost: try again.",
    3024: "Raise statement_timeout or make the query cheaper, then try again.",
}
_INPUT = {
    1054: "Correct the names of columns.",
    1062: "Correct the data: a key stands there already; {upsert} updates it, if it is of `keys`.",
    1064: "Correct the query.",
    1146: "Create the table, or name it with its database.",
    1153: "A row is larger than the server's max_allowed_packet: raise it there.",
    1264: "Make the column wider, or correct the data.",
    1265: "Make the column wider, or correct the data.",
    1048: "Give a value in every row, or let the column be NULL.",
    1263: "Give a value in every row, or let the column be NULL.",
    1292: "Correct the data, or the column's type.",
    1366: "Correct the data, or the column's type.",
    1406: "Make the column wider, or correct the data.",
    1416: "Write its geometry as WKB behind four bytes of its SRID, or make the column a text.",
    1452: "Write the rows first that these refer to, or correct the data.",
    1526: "Add a partition for it, or correct the data.",
    1644: "A procedure or trigger of the server says so: correct what it objects to.",
    3140: "Correct the data: the column demands JSON.",
    3819: "Correct the data, or the table's constraint.",
    4025: "Correct the data, or the table's constraint.",
    1792: "The source only reads: give a query that does not write.",
    2020: "A row is larger than max_allowed_packet: raise it on the server.",
}


def remedy_of_data(number: str) -> str:
    """Say what to do about data that a table does not take.

    Args:
        number: Of the server's error or warning.
    """
    known = _INPUT.get(int(number) if number.isdecimal() else 0)
    return (known or "Correct the data, or the column's type.").format(
        upsert=target_option("mode", "upsert")
    )


def said_by_server(error: BaseException) -> tuple[str, str]:
    """Give number and text of what the server said, of an error that `translated` has made."""
    told: tuple[Any, ...] = getattr(error.__cause__, "args", ())
    if len(told) == 2 and isinstance(told[0], int):
        return str(told[0]), str(told[1])
    return "", str(error)


def translated(error: BaseException, system: str) -> TradewindError:
    """Tell an error of mysqlclient in our own terms.

    Args:
        error: What was raised.
        system: The server, as messages name it.

    Returns:
        The error to raise from it.
    """
    if isinstance(error, TradewindError):
        return error
    number, text = 0, str(error)
    if len(error.args) >= 2 and isinstance(error.args[0], int):
        number, text = error.args[0], str(error.args[1])
    elif error.args == (0, "") or not text:
        number, text = 2006, "the connection is closed"
    for kind, known in ((SetupError, _SETUP), (RetryError, _RETRY), (InputError, _INPUT)):
        if number in known:
            remedy = known[number].format(
                insert=target_option("load", "insert"), upsert=target_option("mode", "upsert")
            )
            return kind(f"{system}: {text.rstrip('.')}. {remedy} (error {number})")
    if type(error).__name__ == "InterfaceError" or 2000 <= number < 3000:
        return RetryError(f"{system}: {text.rstrip('.')}. Try again. (error {number})")
    return InputError(f"{system}: {text.rstrip('.')}. Correct the query or data. (error {number})")
