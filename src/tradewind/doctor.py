"""Checks of a system for ``tradewind doctor``, and those that all systems share.

A system's own questions stand in its folder (``System.doctor``). None of them writes anything.
"""

from __future__ import annotations

import email.utils
import importlib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from tradewind.errors import MissingExtraError, TradewindError
from tradewind.registry import imported
from tradewind.system import System

__all__ = [
    "Check",
    "Status",
    "certificate",
    "checks_of",
    "clock",
    "failed",
    "is_local",
    "of_peer",
    "reach",
    "tls",
]

Status = Literal["ok", "warn", "fail", "absent"]
"""``absent``: something is not here, and nothing is wrong with that."""

_FEW_DAYS = 14
_APART = 60.0
_SOON = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        status: How it is.
        what: What was looked at, in a word or two: ``reach``, ``login``, ``TLS``.
        said: What was found, without a secret.
        remedy: What to do about it, a sentence; empty where nothing is to be done or `said` ends
            with it.
    """

    status: Status
    what: str
    said: str = ""
    remedy: str = ""


def checks_of(system: System, settings: Any, named: str, timeout: float) -> Iterator[Check]:
    """Look at a system, by its own questions or, where it has none, by what all have.

    Args:
        system: Which.
        settings: What `System.connection` returns or, in its place, a URI; of a store a function
            of a bucket's name that returns the store.
        named: The bucket, table or path to look at; empty where none is named.
        timeout: Seconds that a request may take.

    Yields:
        What was found, as it is found.
    """
    if system.doctor is not None:
        yield from imported(system.doctor)(settings, named, timeout)
    elif system.store is not None:
        yield from _store(system, settings, named)
    elif system.dialect is not None and system.source is not None:
        yield from _query(imported(system.source), settings)
    else:
        yield Check("ok", "settings", "they can be read; more is not asked of this system")


def _store(system: System, make: Any, named: str) -> Iterator[Check]:
    if not named and not system.host_in_connection:
        yield Check(
            "warn",
            "bucket",
            "none was named, so nothing was asked",
            "Name one as --connection ID=BUCKET.",
        )
        return
    try:
        make(named).check()
    except TradewindError as error:
        yield failed("bucket", error)
    else:
        there = "it" if system.host_in_connection else named
        yield Check("ok", "bucket", f"{there} is there and may be listed; writing was not tried")


def _query(made: Any, settings: Any) -> Iterator[Check]:
    try:
        if isinstance(settings, str) and "://" in settings:
            source = made.from_uri(settings, {"query": "SELECT 1 AS one"})
        else:
            source = made(settings, "SELECT 1 AS one")
        with closing(source.batches()) as batches:
            for _ in batches:
                break
    except TradewindError as error:
        yield failed("query", error)
    else:
        yield Check("ok", "query", "the database answers SELECT 1")


def failed(what: str, error: TradewindError) -> Check:
    """Make a check of an error; its message ends with the remedy."""
    return Check("fail", "client" if isinstance(error, MissingExtraError) else what, str(error))


def is_local(host: str) -> bool:
    """Whether nobody between here and a host can read what is sent: a socket, or loopback."""
    return host.startswith(("/", "127.")) or host in ("localhost", "::1", "[::1]")


def reach(host: str, port: int, timeout: float) -> Check:
    """Look whether something listens at an address.

    Args:
        host: Name or address.
        port: The port.
        timeout: Seconds.
    """
    where = f"{host}:{port}"
    try:
        socket.create_connection((host.strip("[]"), port), timeout=timeout).close()
    except socket.gaierror:
        return Check("fail", "reach", f"there is no host {host}", "Correct the host.")
    except TimeoutError:
        return Check(
            "fail",
            "reach",
            f"no answer from {where} in {timeout:g} s",
            "Open the way there (firewall, VPN, security group), or correct host and port.",
        )
    except ConnectionRefusedError:
        return Check(
            "fail",
            "reach",
            f"nothing listens at {where}",
            "Start the server, or correct host and port.",
        )
    except OSError as error:
        return Check(
            "fail", "reach", f"{where}: {error.strerror or error}", "Correct host and port."
        )
    return Check("ok", "reach", where)


# ---------------------------------------------------------------------------------------------- TLS


def tls(host: str, port: int, timeout: float, context: ssl.SSLContext) -> Check:
    """Make a TLS connection as the system's client would, and read the server's certificate.

    Args:
        host: Name or address, which the certificate is to have.
        port: The port, on which TLS begins at once.
        timeout: Seconds.
        context: What is trusted.
    """
    try:
        return _greeted(host, port, timeout, context)
    except ssl.SSLCertVerificationError as error:
        plain = ssl.create_default_context()
        plain.check_hostname = False
        plain.verify_mode = ssl.CERT_NONE
        try:
            shown = _greeted(host, port, timeout, plain).said
        except OSError:
            shown = ""
        return refused(error, shown)
    except OSError as error:
        said = getattr(error, "reason", None) or error.strerror or str(error)
        return Check(
            "fail",
            "TLS",
            f"no TLS connection ({said})",
            "See that the port is the one for TLS, and which versions of TLS both sides take.",
        )


def _greeted(host: str, port: int, timeout: float, context: ssl.SSLContext) -> Check:
    name = host.strip("[]")
    with (
        socket.create_connection((name, port), timeout=timeout) as link,
        context.wrap_socket(link, server_hostname=name) as wrapped,
    ):
        return of_peer(wrapped, verified=context.verify_mode != ssl.CERT_NONE)


def refused(error: ssl.SSLCertVerificationError, shown: str) -> Check:
    """Say why a certificate is refused, and what to do.

    Args:
        error: As OpenSSL says it.
        shown: What the certificate holds, where it could be read.
    """
    why = str(error.verify_message or error).rstrip(".")
    if "expired" in why or "not yet valid" in why:
        remedy = "Renew the certificate on the server; look at the clocks of both machines."
    elif "ostname" in why or "IP address" in why:
        remedy = "Connect by a name that stands in the certificate."
    else:
        remedy = "Give the file with its authority's certificate in the connection's TLS settings."
    return Check("fail", "TLS", f"the certificate is refused: {why}" + _also(shown), remedy)


def _also(shown: str) -> str:
    return f" ({shown})" if shown else ""


def of_peer(wrapped: ssl.SSLSocket | ssl.SSLObject, *, verified: bool) -> Check:
    """Describe a TLS connection: its version and the server's certificate.

    Args:
        wrapped: The connection, after its handshake.
        verified: Whether the certificate was checked.
    """
    version = wrapped.version() or "TLS"
    der = wrapped.getpeercert(binary_form=True) or b""
    names, until = certificate(der, wrapped.getpeercert() or {})
    return of_certificate(version, names, until, verified=verified)


def of_certificate(
    version: str, names: list[str], until: datetime | None, *, verified: bool
) -> Check:
    """Judge a certificate.

    Args:
        version: Of TLS.
        names: That stand in it.
        until: When it ends.
        verified: Whether it was checked.
    """
    said = [version]
    if names:
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        said.append(f"certificate for {shown}")
    days = None if until is None else (until - datetime.now(UTC)).days
    if until is not None and days is not None:
        left = f"{days} days left" if days >= 0 else f"expired {-days} days ago"
        said.append(f"{left} (until {until:%Y-%m-%d})")
    if not verified:
        said.append("not checked by the client")
    status: Status = "ok" if days is None or days >= _FEW_DAYS else "warn"
    return Check(status, "TLS", ", ".join(said), "" if status == "ok" else "Renew the certificate.")


def certificate(der: bytes, decoded: dict[str, Any]) -> tuple[list[str], datetime | None]:
    """Read a certificate.

    Args:
        der: Its bytes; read where the package cryptography is installed.
        decoded: As `ssl` tells it, which it does of a certificate that it has checked.

    Returns:
        Its names, and when it ends; none where it cannot be read here.
    """
    if decoded:
        found = [str(value) for _, value in decoded.get("subjectAltName", ())]
        until = datetime.fromtimestamp(ssl.cert_time_to_seconds(decoded["notAfter"]), UTC)
        return found, until
    try:
        x509: Any = importlib.import_module("cryptography.x509")
    except ImportError:
        return [], None
    try:
        read = x509.load_der_x509_certificate(der)
        until = read.not_valid_after_utc
    except ValueError:
        return [], None
    try:
        extension = read.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return [str(one.value) for one in extension.value], until
    except (x509.ExtensionNotFound, ValueError):
        return [], until


# -------------------------------------------------------------------------------------------- clock


def clock(there: float | str | None, *, most: float | None = None) -> Iterator[Check]:
    """Compare a server's clock with this machine's.

    Args:
        there: Its time now, in seconds since 1970 or as the header Date has it; None where it does
            not say.
        most: Seconds apart at which it refuses requests; None where it does not.

    Yields:
        One check; none where the time is not told.
    """
    now = time.time()
    if isinstance(there, str):
        try:
            # To the second; the middle of it.
            there = email.utils.parsedate_to_datetime(there).timestamp() + 0.5
        except ValueError:
            there = None
    if there is None:
        return
    apart = there - now
    if abs(apart) < _SOON:
        yield Check("ok", "clock", f"less than {_SOON:g} s apart")
        return
    ahead = "ahead of" if apart > 0 else "behind"
    said = f"the server's is {abs(apart):.0f} s {ahead} this machine's"
    if most is not None and abs(apart) > most:
        said += f"; it refuses requests from {most:g} s on"
        yield Check("fail", "clock", said, "Set this machine's clock right (NTP).")
    elif abs(apart) > _APART:
        yield Check("warn", "clock", said, "Set the wrong one of the two clocks right (NTP).")
    else:
        yield Check("ok", "clock", said)
