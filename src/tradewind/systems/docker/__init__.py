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
)
