"""Files of a machine behind SFTP: a store."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="sftp",
    title="SFTP",
    schemes=("sftp",),
    store="tradewind.systems.sftp.store:SFTPStore",
    connection_types=("sftp",),
    default_connection="sftp_default",
    default_port=22,
    connection="tradewind.systems.sftp.airflow:sftp_store",
    host_in_connection=True,
    local="tradewind.systems.sftp.local:SYSTEM",
    install="pip install 'tradewind[sftp]'",
)
