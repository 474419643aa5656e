"""Spark connections, read as the official hook reads them, and the backend of YARN made of one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, SetupError

if TYPE_CHECKING:
    from tradewind.run.backend import Backend

__all__ = ["SparkConnection", "open_yarn", "read_spark_connection"]

_BINARIES = ("spark-submit", "spark2-submit", "spark3-submit")
_RM_ADDRESS = "yarn_resourcemanager_webapp_address"


@dataclass(frozen=True)
class SparkConnection:
    """What a Spark connection says.

    Args:
        conn_id: Its id.
        master: Spark's master.
        deploy_mode: ``client``, ``cluster``, or None.
        binary: The program.
        queue: Of YARN.
        namespace: Of Kubernetes.
        principal: Of Kerberos.
        rest_scheme: Of a standalone master's REST API and page.
        rest_port: Of its REST API.
        ui_port: Of its page.
        managers: Addresses of YARN's ResourceManagers.
        log_server: Address of the server of YARN's aggregated logs.
        verify: Whether, or by which file, certificates of YARN are checked.
        cert: File of the client's certificate for YARN, or that and the file of its key.
        login: Whom an unsecured YARN takes this client for, or who logs in.
        password: With it, YARN is asked with HTTP's basic authentication.
    """

    conn_id: str
    master: str
    deploy_mode: str | None
    binary: str
    queue: str | None
    namespace: str | None
    principal: str | None
    rest_scheme: str
    rest_port: int
    ui_port: int
    managers: tuple[str, ...]
    log_server: str | None
    verify: bool | str
    cert: str | tuple[str, str] | None
    login: str | None
    password: str | None


def read_spark_connection(conn_id: str, *, has_keytab: bool = False) -> SparkConnection:
    """Look a Spark connection up.

    Args:
        conn_id: Its id.
        has_keytab: Whether a keytab is given that the connection's would not be used for.

    Raises:
        SetupError: There is none.
        InputError: It says what cannot be.
    """
    from tradewind.airflow.connections import find_connection
    from tradewind.systems.http.airflow import as_cert, as_verify

    connection = find_connection(conn_id)
    extra = connection.extra_dejson
    host, port = connection.host or "", connection.port
    if connection.conn_type == "spark" and host and ("://" in host or not port):
        master = host
    else:
        master = f"{connection.conn_type}://{host}"
    binary = extra.get("spark-binary") or _BINARIES[0]
    if binary not in _BINARIES:
        raise InputError(
            f"The Airflow connection {conn_id!r} names the spark-binary {binary!r}. Use one of "
            f"{', '.join(_BINARIES)}, or the operator's spark_binary."
        )
    if extra.get("spark-home"):
        raise InputError(
            f"The Airflow connection {conn_id!r} has a spark-home, which is not used. Put one of "
            f"{', '.join(_BINARIES)} on the PATH, and set spark-binary if needed."
        )
    if extra.get("keytab") and not has_keytab:
        raise InputError(
            f"The Airflow connection {conn_id!r} holds a keytab, which would have to be left on "
            "this machine's disk. Put it there as a file, and name it as keytab."
        )
    addresses = str(extra.get(_RM_ADDRESS) or "").split(",")
    return SparkConnection(
        conn_id=conn_id,
        master=f"{master}:{port}" if port else master,
        deploy_mode=extra.get("deploy-mode"),
        binary=binary,
        queue=extra.get("queue"),
        namespace=extra.get("namespace"),
        principal=extra.get("principal"),
        rest_scheme=extra.get("rest-scheme") or "http",
        rest_port=_port(conn_id, extra, "rest-port", 6066),
        ui_port=_port(conn_id, extra, "ui-port", 8080),
        managers=tuple(_url(address) for address in addresses if address.strip()),
        log_server=extra.get("yarn_log_server_address") or None,
        verify=as_verify(extra.get("yarn_rm_verify", True)),
        cert=as_cert(extra.get("yarn_rm_cert")),
        login=connection.login or None,
        password=connection.password or None,
    )


def _port(conn_id: str, extra: dict[str, Any], name: str, default: int) -> int:
    try:
        return int(extra.get(name) or default)
    except ValueError:
        raise InputError(
            f"The Airflow connection {conn_id!r} has the {name} {extra[name]!r}, which is no "
            "number."
        ) from None


def _url(address: str) -> str:
    address = address.strip().rstrip("/")
    return address if "://" in address else f"http://{address}"


def open_yarn(
    conn_id: str,
    kerberos: bool = False,
    *,
    auth: Any = None,
    say: Callable[[str], None] = lambda _: None,
    give_up: Callable[[], bool] = lambda: False,
) -> Backend[Any]:
    """Make the backend of the YARN that a Spark connection names.

    Args:
        conn_id: Its id.
        kerberos: Whether to log in by the Kerberos tickets of this process.
        auth: Instead, an auth of requests or httpx.
        say: Takes a line for each that a submission writes.
        give_up: Is asked whether to end a submission that is under way.

    Raises:
        SetupError: The connection names no ResourceManager.
    """
    from tradewind.systems.http.backend import RestConnection
    from tradewind.systems.yarn.backend import YarnBackend

    found = read_spark_connection(conn_id, has_keytab=True)
    if not found.managers:
        raise SetupError(
            f"The Airflow connection {conn_id!r} does not say where YARN's ResourceManager is, "
            f"which supervises applications in cluster mode. Set {_RM_ADDRESS} in its extra, like "
            "http://rm.example.com:8088; several with commas."
        )
    given: Any = None
    if auth is not None:
        given = _http_auth(auth)
    elif found.password:
        given = (found.login or "", found.password)
    elif kerberos:
        given = _http_auth(_kerberos())
    managers = [
        RestConnection(address, auth=given, verify=found.verify, cert=found.cert)
        for address in found.managers
    ]
    user = None if given is not None else found.login
    return YarnBackend(managers, user=user, log_server=found.log_server, say=say, give_up=give_up)


def _kerberos() -> Any:
    try:
        module = importlib.import_module("requests_kerberos")
    except ImportError as error:
        raise SetupError(
            "YARN: Kerberos is configured by keytab and principal, and the package "
            "requests-kerberos is not installed. Install it, or give yarn_rm_auth."
        ) from error
    return module.HTTPKerberosAuth()


def _http_auth(auth: Any) -> Any:
    import httpx

    from tradewind.systems.http.airflow import requests_auth

    if not hasattr(auth, "generate_request_header"):
        return requests_auth(auth)

    class Negotiate(httpx.Auth):
        """Of requests_kerberos: its token is sent ahead, not when it is asked for."""

        def auth_flow(self, request: Any) -> Any:
            token = auth.generate_request_header(None, request.url.host, is_preemptive=True)
            request.headers["Authorization"] = token
            yield request

    return Negotiate()
