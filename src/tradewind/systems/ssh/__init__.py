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
)
