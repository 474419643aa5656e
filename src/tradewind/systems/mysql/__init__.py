"""MySQL and MariaDB: a source, a table, and a server on this machine."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="mysql",
    title="MySQL and MariaDB",
    schemes=("mysql",),
    aliases={"mariadb": "mysql"},
    source="tradewind.systems.mysql.source:MySQLSource",
    target="tradewind.systems.mysql.table:MySQLTable",
    connection_types=("mysql", "mariadb"),
    default_connection="mysql_default",
    default_port=3306,
    connection="tradewind.systems.mysql.airflow:connection_of",
    local="tradewind.systems.mysql.local:SYSTEM",
    install="pip install 'tradewind[mysql]'",
    doctor="tradewind.systems.mysql.doctor:checks",
    dialect="mysql",
    sweep="tradewind.systems.mysql.sweep:leftovers",
    sweep_place="URI",
    sweep_option="tables",
    sweep_help="tables that were being made: mysql://user@host/database, or connection:ID",
)
