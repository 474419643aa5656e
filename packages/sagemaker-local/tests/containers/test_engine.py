"""Finding a container engine, or saying what to do about there being none."""

from __future__ import annotations

import asyncio
import socket
import tarfile
from pathlib import Path

import pytest

import container_engine
from sagemaker_local.containers.archives import layout, pack, read_text
from sagemaker_local.containers.engine import (
    Engine,
    EngineError,
    NoEngineError,
    find_engine,
    require_image,
)


def refusal(address: str) -> str:
    async def main() -> str:
        with pytest.raises(NoEngineError) as error:
            await find_engine(address)
        return str(error.value)

    return asyncio.run(main())


def test_none_is_said_to_be_the_reason() -> None:
    assert "--container-engine none" in refusal("none")


def test_what_was_tried_and_what_to_install_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    text = refusal("auto")
    assert f"{tmp_path}/docker.sock (is not there)" in text
    assert "apt-get install docker.io" in text
    assert "--container-engine unix://" in text

    (tmp_path / "file").touch()
    assert "(is no socket)" in refusal(f"unix://{tmp_path}/file")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    assert "Connection refused" in refusal(f"unix://{tmp_path}/left")
    assert "only unix:///path is spoken" in refusal("tcp://127.0.0.1:2375")


@pytest.mark.container
@pytest.mark.xdist_group("container-engine")
def test_folders_go_in_and_come_out(
    engine: container_engine.Engine, image: str, tmp_path: Path
) -> None:
    async def main() -> None:
        client = await find_engine(engine.address)
        assert isinstance(client, Engine)
        with pytest.raises(EngineError, match="docker load"):
            await require_image(client, "no/image:here")
        container = await client.create({"Image": image, "Cmd": ["true"]})
        try:
            files = {"/box/in/a.txt": b"a" * 3_000_000, "/box/b.txt": b"b"}
            await client.put(container, "/", layout(["/box", "/box/in"], files))
            assert await read_text(client, container, "/box/in/a.txt", 1024) == "a" * 1024
            assert await read_text(client, container, "/box/none", 1024) is None
            assert await pack(client, container, "/box", tmp_path / "box.tar.gz") == 2
            assert await pack(client, container, "/none", tmp_path / "none.tar.gz") == 0
        finally:
            await client.remove(container)
            await client.remove(container)
            await client.aclose()

    asyncio.run(main())
    with tarfile.open(tmp_path / "box.tar.gz") as archive:
        sizes = {member.name: member.size for member in archive if member.isreg()}
    assert sizes == {"in/a.txt": 3_000_000, "b.txt": 1}
