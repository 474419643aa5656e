"""What every system must do over TLS, as a table: the right files work, wrong ones send nothing."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from certificates import Authority
from tls_front import TlsFront
from tradewind.commands.sweep_systems import add_system_options, listings
from tradewind.errors import SetupError

__all__ = ["Files", "Pki", "check_tls", "http_environment", "nothing_swept"]

Files = tuple[Path, Path]


@dataclass(frozen=True)
class Pki:
    """Two authorities of the tests' own, one of which nobody trusts, and what they have signed.

    Args:
        trusted: File of the authority.
        stranger: File of the other one.
        server: Certificate and key of 127.0.0.1 and of db.test.
        client: Those of a client.
        strange_client: Those of a client that the stranger vouches for.
    """

    trusted: Path
    stranger: Path
    server: Files
    client: Files
    strange_client: Files

    @classmethod
    def made(cls, folder: Path) -> Pki:
        """Make it in an empty folder."""
        own, other = folder / "own", folder / "other"
        own.mkdir()
        other.mkdir()
        authority, stranger = Authority(own, "own-authority"), Authority(other, "other-authority")
        return cls(
            authority.file,
            stranger.file,
            authority.certificate("db.test", "127.0.0.1"),
            authority.certificate("client.test", "127.0.0.9"),
            stranger.certificate("client.test", "127.0.0.9"),
        )


class Use(Protocol):
    """Uses a system at an address, trusting an authority, as a client that may have files."""

    def __call__(self, host: str, port: int, authority: Path, own: Files | None) -> object: ...


def check_tls(
    pki: Pki,
    connect: Callable[[], socket.socket],
    use: Use,
    *,
    trust: str,
    greet: Callable[[socket.socket], None] = lambda link: None,
) -> None:
    """Use a system behind a front that wants a certificate of each client.

    Args:
        pki: Certificates.
        connect: Connects to the system.
        use: Gives something that is true.
        trust: Stands in the error, where the authority is not trusted.
        greet: As `TlsFront` takes it.
    """
    with TlsFront(connect, pki.server, clients=pki.trusted, greet=greet) as front:
        assert use("127.0.0.1", front.port, pki.trusted, pki.client)
        assert front.heard
        front.heard = b""
        for host, authority, own, said in (
            ("127.0.0.1", pki.stranger, pki.client, trust),
            ("127.0.0.2", pki.trusted, pki.client, "127.0.0.2"),
            ("127.0.0.1", pki.trusted, None, "certificate of the client"),
            ("127.0.0.1", pki.trusted, pki.strange_client, "certificate of the client"),
        ):
            with pytest.raises(SetupError, match=said) as told:
                use(host, front.port, authority, own)
            assert "TLS" in str(told.value)
            assert front.heard == b"", (host, authority, own)


def http_environment(patch: pytest.MonkeyPatch, authority: Path, own: Files | None) -> None:
    """Say by the environment what URIs of HTTP APIs cannot say."""
    patch.setenv("TRADEWIND_HTTP_CA_FILE", str(authority))
    for name, file in zip(("CERT", "KEY"), own or (), strict=False):
        patch.setenv(f"TRADEWIND_HTTP_{name}_FILE", str(file))


def nothing_swept(option: str, uri: str) -> bool:
    """Look by ``tradewind sweep`` at a system where nothing is left over."""
    parser = argparse.ArgumentParser()
    add_system_options(parser)
    named = parser.parse_args([f"--{option}", uri])
    return all(list(leftovers) == [] for _, leftovers in listings(named))
