"""Docker and podman: work in containers."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="docker",
    title="Docker and podman",
    backend="tradewind.systems.docker.backend:DockerBackend",
    connection_types=("docker",),
    default_connection="docker_default",
    install="pip install 'tradewind[docker]'",
    sweep="tradewind.systems.docker.sweep:leftovers",
    sweep_place="URI",
    sweep_help="containers of an engine: unix:///path/to/docker.sock, tcp://host:port",
)
