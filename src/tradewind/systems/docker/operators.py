"""A container that runs once for a task run, however often workers die."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.parse_checks import (
    check_list,
    check_mapping,
    check_number,
    check_text,
    is_fixed,
)
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.backend import Backend
    from tradewind.run.supervise import Outcome
    from tradewind.systems.docker.backend import Container

__all__ = ["DockerOperator"]

_NO_IMAGE = "DockerOperator: there is no image. Name the one that the container is made of."
_SIZE = re.compile(r"\s*\d+(\.\d+)?\s*[kmgt]?b?\s*", re.IGNORECASE)
_NO_NETWORKS_OF_THEIR_OWN = ("bridge", "default", "host", "none")


class DockerOperator(WorkOperator):
    """Runs a command in a container, as the official operator of this name.

    The container has a name made from the task run, and is removed when its result is collected. A
    retry reattaches to it; work that failed is run again in a new one. What it writes into the file
    that ``TRADEWIND_RESULT`` names becomes the XCom: JSON, or else text; when it writes none, the
    last line of its output.

    Args:
        image: Name of the image; ``latest`` when it has no tag. (templated)
        api_version: Of the engine's API; ``auto`` or None for its own.
        command: What runs in it: words, a line split as a shell does, or text like ``["a", "b"]``.
            (templated)
        container_name: By what other containers reach it on a network of your own, and a label.
            The container's name itself belongs to the task run. (templated)
        cpus: Weight against other containers, 1.0 is usual; no limit, see `cpu_limit`.
        docker_url: Address of the engine, or several, of which the first that answers is used;
            ``DOCKER_HOST`` or the usual socket when not given.
        environment: Variables. (templated)
        private_environment: Variables that are not templated, never shown, and masked in the log.
        env_file: Text of variables as python-dotenv reads it (quotes, values of several lines,
            ``${NAME}``), or the path of a ``.env`` file beside the DAG; `environment` overrules
            it. (templated)
        force_pull: Pulls the image even when the engine has it.
        mem_limit: Most memory: bytes, or like ``128m``.
        host_tmp_dir: Refused: use `mounts` for a folder of the engine's machine.
        network_mode: ``bridge``, ``none``, ``host``, ``container:NAME``, or a network's name.
        tls_ca_cert: File with the certificate authority of the engine.
        tls_client_cert: File with this client's certificate.
        tls_client_key: File with its key.
        tls_verify: Whether the engine's certificate is checked.
        tls_hostname: The name that it must have instead of the host's; False does not compare it.
        tls_ssl_version: Has no effect: client and engine agree on the best they have.
        mount_tmp_dir: Gives the container a volume of its own at `tmp_dir`, named by
            ``AIRFLOW_TMP_DIR``, which is removed with it. It belongs to the engine, not to the
            worker: so it works with engines elsewhere, and when the worker dies.
        tmp_dir: Where that volume is.
        user: Who runs it, ``name``, ``uid`` or ``uid:gid``.
        mounts: ``docker.types.Mount``, or dicts of its arguments. (templated)
        entrypoint: Instead of the image's own.
        working_dir: Where it runs.
        xcom_all: Makes all lines of the output the XCom, a list of at most `result_limit` bytes;
            None where there is no output.
        docker_conn_id: Connection with the login of the image's registry. (templated)
        dns: Servers.
        dns_search: Domains.
        auto_remove: Has no effect: a container is always removed when its end is known to the
            task, and never before.
        shm_size: Size of ``/dev/shm``, in bytes.
        tty: Gives it a terminal.
        hostname: Its own.
        privileged: Gives it all rights on the engine's machine.
        cap_add: Capabilities.
        extra_hosts: Addresses by names.
        retrieve_output: Refused: unpickling runs what the container wrote. Write JSON into the file
            that ``TRADEWIND_RESULT`` names.
        retrieve_output_path: Goes with it.
        timeout: Of an answer of the engine, in seconds.
        device_requests: ``docker.types.DeviceRequest``, or dicts as the API has them.
        log_opts_max_size: At what size the engine begins a new log file, like ``10m``.
        log_opts_max_file: How many of those it keeps.
        ipc_mode: As the API has it.
        skip_on_exit_code: Exit codes that end the task as skipped.
        port_bindings: Ports of the engine's machine by ports of the container.
        ulimits: ``docker.types.Ulimit``, or dicts with ``Name``, ``Soft`` and ``Hard``.
        labels: Labels, or names of labels.
        cpu_limit: Cores that it may use, may be a fraction.
        local_log: Lets the engine keep the log by its driver ``local`` while the container is
            there, where it is set up to keep JSON files and no ``log_opts`` are given: it reads
            that faster. False for collectors that read the files.
        kwargs: `WorkOperator`'s: ``deferrable``, ``poll_interval``, ``result_limit``.
    """

    template_fields: Sequence[str] = (
        "image",
        "command",
        "environment",
        "env_file",
        "container_name",
        "mounts",
        "docker_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"env_file": "yaml"}
    template_ext: Sequence[str] = (".sh", ".bash", ".env")

    last_line = True
    look_seconds = 1.0

    def __init__(
        self,
        *,
        image: str,
        api_version: str | None = None,
        command: str | list[str] | None = None,
        container_name: str | None = None,
        cpus: float = 1.0,
        docker_url: str | list[str] | None = None,
        environment: dict[str, Any] | None = None,
        private_environment: dict[str, Any] | None = None,
        env_file: str | None = None,
        force_pull: bool = False,
        mem_limit: float | str | None = None,
        host_tmp_dir: str | None = None,
        network_mode: str | None = None,
        tls_ca_cert: str | None = None,
        tls_client_cert: str | None = None,
        tls_client_key: str | None = None,
        tls_verify: bool = True,
        tls_hostname: str | bool | None = None,
        tls_ssl_version: str | None = None,
        mount_tmp_dir: bool = True,
        tmp_dir: str = "/tmp/airflow",  # noqa: S108 - of the container
        user: str | int | None = None,
        mounts: list[Any] | None = None,
        entrypoint: str | list[str] | None = None,
        working_dir: str | None = None,
        xcom_all: bool = False,
        docker_conn_id: str | None = None,
        dns: list[str] | None = None,
        dns_search: list[str] | None = None,
        auto_remove: Literal["never", "success", "force"] = "never",
        shm_size: int | None = None,
        tty: bool = False,
        hostname: str | None = None,
        privileged: bool = False,
        cap_add: Iterable[str] | None = None,
        extra_hosts: dict[str, str] | None = None,
        retrieve_output: bool = False,
        retrieve_output_path: str | None = None,
        timeout: int = 60,
        device_requests: list[Any] | None = None,
        log_opts_max_size: str | None = None,
        log_opts_max_file: str | None = None,
        ipc_mode: str | None = None,
        port_bindings: dict[Any, Any] | None = None,
        ulimits: list[Any] | None = None,
        labels: dict[str, str] | list[str] | None = None,
        cpu_limit: float | None = None,
        local_log: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if auto_remove not in ("never", "success", "force"):
            raise InputError(
                f"DockerOperator: auto_remove is {auto_remove!r}; it is never, success or force."
            )
        if retrieve_output:
            raise InputError(
                "DockerOperator: retrieve_output would unpickle what the container wrote, which "
                "can run anything. Let it write JSON into the file that the environment variable "
                "TRADEWIND_RESULT names: that becomes the XCom."
            )
        if host_tmp_dir is not None:
            raise InputError(
                "DockerOperator: host_tmp_dir is a folder of the worker, and the container may "
                "outlive the worker. Leave it out for a volume of the container's own at tmp_dir, "
                "or name a folder of the engine's machine in mounts."
            )
        if port_bindings and network_mode == "host":
            raise InputError(
                "DockerOperator: port_bindings have no effect in the network mode host. Take one "
                "of them away."
            )
        if bool(tls_client_cert) != bool(tls_client_key):
            raise InputError(
                "DockerOperator: tls_client_cert and tls_client_key go together. Give both, or "
                "tls_ca_cert alone for an engine that wants no certificate of its clients."
            )
        self.image = image
        self.api_version = api_version
        self.command = command
        self.container_name = container_name
        self.cpus = cpus
        self.docker_url = docker_url
        self.environment = environment or {}
        self._private_environment = private_environment or {}
        self.env_file = env_file
        self.force_pull = force_pull
        self.mem_limit = mem_limit
        self.host_tmp_dir = host_tmp_dir
        self.network_mode = network_mode
        self.tls_ca_cert = tls_ca_cert
        self.tls_client_cert = tls_client_cert
        self.tls_client_key = tls_client_key
        self.tls_verify = tls_verify
        self.tls_hostname = tls_hostname
        self.tls_ssl_version = tls_ssl_version
        self.mount_tmp_dir = mount_tmp_dir
        self.tmp_dir = tmp_dir
        self.user = user
        self.mounts = mounts or []
        self.entrypoint = entrypoint
        self.working_dir = working_dir
        self.xcom_all = self.whole_log = xcom_all
        self.docker_conn_id = docker_conn_id
        self.dns = dns
        self.dns_search = dns_search
        self.auto_remove = auto_remove
        self.shm_size = shm_size
        self.tty = tty
        self.hostname = hostname
        self.privileged = privileged
        self.cap_add = cap_add
        self.extra_hosts = extra_hosts
        self.retrieve_output = retrieve_output
        self.retrieve_output_path = retrieve_output_path
        self.timeout = timeout
        self.device_requests = device_requests
        self.log_opts_max_size = log_opts_max_size
        self.log_opts_max_file = log_opts_max_file
        self.ipc_mode = ipc_mode
        self.port_bindings = port_bindings or {}
        self.ulimits = ulimits or []
        self.labels = labels
        self.cpu_limit = cpu_limit
        self.local_log = local_log

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        from tradewind.systems.docker.spelling import listed, mount_of

        super().check_arguments()
        check_text("DockerOperator: image", self.image, missing=_NO_IMAGE)
        if is_fixed(self.command):
            listed(self.command)
        check_mapping("DockerOperator: environment", self.environment)
        check_mapping("DockerOperator: private_environment", self._private_environment)
        check_number("DockerOperator: cpus", self.cpus)
        check_number("DockerOperator: cpu_limit", self.cpu_limit, above=0)
        for name in ("mem_limit", "shm_size"):
            _check_size(name, getattr(self, name))
        check_list("DockerOperator: mounts", self.mounts, example='[{"target": "/data"}]')
        for mount in self.mounts if isinstance(self.mounts, list | tuple) else ():
            if isinstance(mount, Mapping) and is_fixed(mount):
                mount_of(mount)

    def backend_spec(self) -> BackendSpec:
        """Say which engine: the worker's own environment decides, for the triggerer too."""
        url = self.docker_url or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        return BackendSpec(
            "tradewind.airflow.backends:open_docker",
            {
                "docker_url": url,
                "api_version": self.api_version,
                "timeout": self.timeout,
                "tls_ca_cert": self.tls_ca_cert,
                "tls_client_cert": self.tls_client_cert,
                "tls_client_key": self.tls_client_key,
                "tls_verify": self.tls_verify,
                "tls_hostname": self.tls_hostname,
            },
        )

    def open_backend(self) -> Backend[Any]:
        """Connect to the engine; the steps of a pull go to the task's log."""
        return self.backend_spec().open(say=lambda line: self.log.info("%s", line))

    def make_work(self, context: Context) -> Container:
        """Describe the container."""
        from airflow.sdk.log import mask_secret

        from tradewind.airflow.backends import registry_login
        from tradewind.systems.docker.backend import Container
        from tradewind.systems.docker.spelling import listed, mount_of, read_env_file, texts_of

        for value in self._private_environment.values():
            mask_secret(str(value))
        environment = {**read_env_file(self.env_file or ""), **self.environment}
        mounts = [mount_of(each) for each in self.mounts]
        if self.mount_tmp_dir:
            mounts.append({"Type": "volume", "Target": self.tmp_dir})
            environment["AIRFLOW_TMP_DIR"] = self.tmp_dir
        memory = self.mem_limit
        return Container(
            image=self.image,
            command=listed(self.command),
            entrypoint=listed(self.entrypoint),
            environment=texts_of(environment),
            private_environment=texts_of(self._private_environment),
            mounts=mounts,
            network_mode=self.network_mode,
            mem_limit=int(memory) if isinstance(memory, float) else memory,
            cpus=None if self.cpu_limit is None else float(self.cpu_limit),
            shm_size=self.shm_size,
            user=None if self.user is None else str(self.user),
            working_dir=self.working_dir,
            pull="always" if self.force_pull else "missing",
            login=registry_login(self.docker_conn_id),
            tty=self.tty,
            config=self._config(),
            host_config=self._host_config(),
            local_log=self.local_log,
        )

    def _config(self) -> dict[str, Any]:
        from tradewind.systems.docker.spelling import port_of

        labels = self.labels or {}
        labels = dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
        config: dict[str, Any] = {}
        if self.container_name:
            labels["container_name"] = self.container_name
            network = self.network_mode or "bridge"
            if network not in _NO_NETWORKS_OF_THEIR_OWN and not network.startswith("container:"):
                aliases = {"Aliases": [self.container_name]}
                config["NetworkingConfig"] = {"EndpointsConfig": {network: aliases}}
        config["Labels"] = labels
        if self.hostname:
            config["Hostname"] = self.hostname
        if self.port_bindings:
            config["ExposedPorts"] = {port_of(each): {} for each in self.port_bindings}
        return config

    def _host_config(self) -> dict[str, Any]:
        from tradewind.systems.docker.spelling import api_cased, bindings_of, port_of

        log_options = {"max-size": self.log_opts_max_size, "max-file": self.log_opts_max_file}
        log_options = {name: value for name, value in log_options.items() if value is not None}
        found: dict[str, Any] = {
            "CpuShares": round(float(self.cpus) * 1024),
            "Dns": self.dns,
            "DnsSearch": self.dns_search,
            "Privileged": self.privileged or None,
            "CapAdd": list(self.cap_add) if self.cap_add else None,
            "ExtraHosts": [f"{name}:{ip}" for name, ip in (self.extra_hosts or {}).items()],
            "DeviceRequests": [api_cased(each) for each in self.device_requests or ()],
            "IpcMode": self.ipc_mode,
            "Ulimits": [api_cased(each) for each in self.ulimits],
            "PortBindings": {port_of(at): bindings_of(to) for at, to in self.port_bindings.items()},
        }
        if log_options:
            config = {name: str(value) for name, value in log_options.items()}
            found["LogConfig"] = {"Type": "json-file", "Config": config}
        return {name: value for name, value in found.items() if value not in (None, [], {})}

    def read_result(self, outcome: Outcome) -> Any:
        """Make the XCom; of the whole output a list of its lines."""
        if outcome.from_log and self.xcom_all and outcome.result is not None:
            return outcome.result.split("\n")
        return super().read_result(outcome)


def _check_size(name: str, size: Any) -> None:
    """Refuse what is no size when the DAG file is read."""
    if size is None or not is_fixed(size):
        return
    if isinstance(size, bool) or not _SIZE.fullmatch(str(size)):
        raise InputError(f"DockerOperator: {name}={size!r} is no size. Write it like 512m or 2g.")
