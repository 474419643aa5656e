"""Machines behind SSH: work in job folders."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="ssh",
    title="Machines behind SSH",
    backend="tradewind.systems.ssh.backend:SSHBackend",
    connection_types=("ssh",),
    default_connection="ssh_default",
    install="pip install 'tradewind[ssh]'",
    sweep="tradewind.systems.ssh.sweep:leftovers",
    sweep_place="CONNECTION",
    sweep_help="jobs on a machine: an Airflow connection, or ssh://user@host:port",
)
