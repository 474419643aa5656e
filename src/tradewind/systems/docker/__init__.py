"""Docker and podman: work in containers."""
