"""Hadoop YARN: applications behind its resource manager."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="yarn",
    title="Hadoop YARN",
    backend="tradewind.systems.yarn.backend:YarnBackend",
    install="pip install 'tradewind[http]'",
    sweep="tradewind.systems.yarn.sweep:leftovers",
    sweep_place="CONNECTION",
    sweep_help=(
        "applications that run: an Airflow connection, or the ResourceManager's http://host:port"
    ),
)
