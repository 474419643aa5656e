"""TLS of a client: its context made of files, and what a refusal of it means."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tradewind.errors import SetupError

if TYPE_CHECKING:
    import ssl

__all__ = ["client_context", "load_own", "refusal", "see_files"]

_TEXT = re.compile(r"\[SSL: (\w+)\](?: certificate verify failed: (.*?) \(_ssl\.c)?")
"""How Python spells an error of OpenSSL, for what is told by libraries as text alone."""
_URLLIB3 = re.compile(r"hostname '[^']*' doesn't match .*")
"""It compares names itself, before it sends anything."""
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
_CHAIN = 8
"""Errors behind an error: more are a circle."""


def client_context(
    where: str,
    *,
    verify: bool | str = True,
    cert: str | None = None,
    key: str | None = None,
    check_hostname: bool = True,
    trust: str = "verify",
    own: str = "cert",
) -> ssl.SSLContext:
    """Make the context of a connection.

    Args:
        where: The system, for messages.
        verify: Whether the server's certificate is checked; or the file, or folder, with the
            certificates of the authorities to trust instead of the system's.
        cert: File with the client's certificate, and its key where `key` is not given.
        key: File with the key. It has no passphrase.
        check_hostname: Whether the certificate must be one of the host.
        trust: What the user calls `verify`, for messages.
        own: What the user calls `cert`.

    Raises:
        SetupError: A file is missing, or is none of the kind.
    """
    import ssl

    authorities = verify if isinstance(verify, str) else None
    see_files(where, (authorities, trust))
    folder = authorities is not None and os.path.isdir(authorities)
    try:
        context = ssl.create_default_context(
            cafile=None if folder else authorities, capath=authorities if folder else None
        )
        if verify is False or not check_hostname:
            context.check_hostname = False
        if verify is False:
            context.verify_mode = ssl.CERT_NONE
    except (OSError, ssl.SSLError) as error:
        raise SetupError(
            f"{where}: {authorities} holds no certificates ({error}). Give {trust} a file in PEM."
        ) from error
    load_own(context, where, cert, key, own=own)
    return context


def load_own(
    context: ssl.SSLContext, where: str, cert: str | None, key: str | None, *, own: str = "cert"
) -> None:
    """Give a context the client's certificate.

    Args:
        context: The context.
        where: The system, for messages.
        cert: As `client_context` takes it; None for none.
        key: The same.
        own: The same.

    Raises:
        SetupError: A file is missing, or is none of the kind.
    """
    import ssl

    if cert is None:
        if key:
            raise SetupError(f"{where}: there is a key and no certificate. Give {own} too.")
        return
    see_files(where, (cert, own), (key, f"the key of {own}"))

    def no_passphrase() -> str:
        # Without this, OpenSSL asks for it at the terminal, and waits.
        raise SetupError(
            f"{where}: the key of the client's certificate {cert} has a passphrase, which cannot "
            f"be asked for. Give a key without one to {own}."
        )

    try:
        context.load_cert_chain(cert, key or None, password=no_passphrase)
    except (OSError, ssl.SSLError) as error:
        raise SetupError(
            f"{where}: the client's certificate {cert} and its key {key or cert} cannot be used "
            f"({error}). Give {own} files in PEM that belong together."
        ) from error


def see_files(where: str, *files: tuple[str | None, str]) -> None:
    """See that files are there, which libraries tell without their names.

    Args:
        where: The system, for messages.
        files: A path, which may be None, and the option that names it.

    Raises:
        SetupError: One is not there.
    """
    for name, option in files:
        if name and not os.path.exists(name):
            raise SetupError(
                f"{where}: there is no file {name}, which {option} names. Correct the path; it is "
                "one of the machine that the task runs on."
            )


def refusal(error: BaseException, *, trust: str = "verify", own: str = "cert") -> str | None:
    """Say what TLS failed of, and the remedy.

    Args:
        error: What was raised; what it was raised from is looked at too.
        trust: What the user calls the file of authorities to trust.
        own: What the user calls the client's certificate.

    Returns:
        Two sentences; None where it is no refusal: a broken connection is none, nor is a timeout.
    """
    reason, why = _reason(error)
    if reason == _UNTRUSTED:
        if any(word in why for word in ("mismatch", "not valid for", "doesn't match")):
            remedy = "Name the host as its certificate does, or get a certificate for this name."
        elif "expired" in why or "not yet valid" in why:
            remedy = "Renew the server's certificate; look at the clocks of both machines."
        else:
            remedy = f"Name the file with its authority's certificate as {trust}."
        return f"the server's certificate is refused ({why}). {remedy} Nothing was sent"
    if reason in _NO_TLS:
        return "what answers there does not speak TLS. Correct the port, or the scheme"
    if "ALERT" in reason:
        words = reason.lower().replace("_", " ")
        return (
            f"the server refuses this client ({words}). If it wants a certificate of the client, "
            f"give one as {own}, of an authority that the server trusts"
        )
    return None


def _reason(error: BaseException) -> tuple[str, str]:
    """Give OpenSSL's name of what failed, and why a certificate is refused; both may be empty."""
    import ssl

    found: BaseException | None = error
    for _ in range(_CHAIN):
        if found is None or isinstance(found, ssl.SSLError):
            break
        found = found.__cause__ or found.__context__
    if isinstance(found, ssl.SSLCertVerificationError):
        return _UNTRUSTED, found.verify_message.rstrip(".")
    if isinstance(found, ssl.SSLError):
        return found.reason or "", ""
    text = str(error)
    if (said := _TEXT.search(text)) is not None:
        return said[1], (said[2] or "").rstrip(".")
    if (said := _URLLIB3.search(text)) is not None:
        return _UNTRUSTED, said[0]
    return "", ""
