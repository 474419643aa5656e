"""S3 as the SageMaker service and its training processes use it: list, look, stream in and out.

A thin layer on obstore that speaks in Tradewind's errors. Objects are read from start to end:
nothing here needs ranged requests, which not every S3 server answers well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sagemaker_local.errors import InputError, RetryError, SageMakerLocalError, SetupError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Store

__all__ = ["ObjectInfo", "Objects", "S3Uri"]

_CHUNK_BYTES = 1024 * 1024
_PART_BYTES = 8 * 1024 * 1024

# A stream lives as long as the work on its data takes, so only a silent server is given up on.
_CLIENT: ClientConfig = {
    "allow_http": True,
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=120),
    "timeout": timedelta(days=30),
}
_RETRY: RetryConfig = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


@dataclass(frozen=True, slots=True)
class S3Uri:
    """A bucket and a key, or a prefix of keys."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> S3Uri:
        """Split ``s3://bucket/key``; the key may be empty.

        Raises:
            InputError: The text is no such address.
        """
        match = re.fullmatch(r"(?:s3|S3)://([^/]+)(?:/(.*))?", text, re.DOTALL)
        if match is None:
            raise InputError(f"{text!r} is no address of the form s3://bucket/key.")
        return cls(match[1], match[2] or "")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says of an object.

    Args:
        uri: Where it is.
        size: In bytes.
    """

    uri: S3Uri
    size: int


class Objects:
    """The objects of one S3 server; credentials come from the environment.

    Args:
        endpoint: The server's address, e.g. ``http://127.0.0.1:9000``.
        region: Region that requests are signed for.
    """

    def __init__(self, *, endpoint: str, region: str) -> None:
        self._endpoint = endpoint
        self._region = region
        self._stores: dict[str, S3Store] = {}

    def _store(self, bucket: str) -> S3Store:
        from obstore.store import S3Store

        if bucket not in self._stores:
            self._stores[bucket] = S3Store(
                bucket,
                # Not `endpoint`: AWS_ENDPOINT_URL_S3 in the environment would win over that.
                aws_endpoint_url_s3=self._endpoint,
                region=self._region,
                virtual_hosted_style_request=False,
                client_options=_CLIENT,
                retry_config=_RETRY,
            )
        return self._stores[bucket]

    def list(self, prefix: S3Uri) -> list[ObjectInfo]:
        """Return the objects whose keys begin with a prefix, in the order of their keys.

        Args:
            prefix: Any beginning of keys, as in S3; it need not end at a slash.

        Raises:
            InputError: There is no such bucket.
            RetryError: The server cannot be reached or does not answer.
            SetupError: The server refuses the credentials.
        """
        import obstore

        # obstore lists whole folders: the one that the prefix is in has all its keys.
        folder = prefix.key.rpartition("/")[0]
        found: list[ObjectInfo] = []
        with self._speaking_of(prefix):
            for chunk in obstore.list(self._store(prefix.bucket), folder or None, chunk_size=1000):
                found.extend(
                    ObjectInfo(S3Uri(prefix.bucket, meta["path"]), meta["size"])
                    for meta in chunk
                    if meta["path"].startswith(prefix.key)
                )
        return sorted(found, key=lambda info: info.uri.key)

    def size(self, uri: S3Uri) -> int:
        """Return an object's size in bytes.

        Raises:
            InputError: There is no such object or bucket.
            RetryError, SetupError: As in ``list``.
        """
        import obstore

        with self._speaking_of(uri):
            return int(obstore.head(self._store(uri.bucket), uri.key)["size"])

    def stream(self, uri: S3Uri, *, chunk_bytes: int = _CHUNK_BYTES) -> Iterator[bytes]:
        """Yield an object's bytes from start to end.

        Args:
            uri: Which object.
            chunk_bytes: Least size of a chunk but the last.

        Raises:
            InputError: There is no such object or bucket.
            RetryError, SetupError: As in ``list``.
        """
        import obstore

        with self._speaking_of(uri):
            result = obstore.get(self._store(uri.bucket), uri.key)
            expected, seen = int(result.meta["size"]), 0
            for chunk in result.stream(min_chunk_size=chunk_bytes):
                seen += len(chunk)
                yield bytes(chunk)
        if seen != expected:
            raise RetryError(
                f"S3 at {self._endpoint} sent {seen} of the {expected} bytes of {uri}. Try again."
            )

    def read(self, uri: S3Uri, *, limit: int) -> bytes:
        """Return a small object whole.

        Args:
            uri: Which object.
            limit: Most bytes it may have.

        Raises:
            InputError: There is no such object or bucket, or it is larger.
            RetryError, SetupError: As in ``list``.
        """
        data = bytearray()
        for chunk in self.stream(uri):
            data += chunk
            if len(data) > limit:
                raise InputError(f"{uri} is larger than the {limit} bytes that it may have.")
        return bytes(data)

    def put(self, uri: S3Uri, content: Path | BinaryIO | bytes | Iterable[bytes]) -> None:
        """Write an object, visible at once and whole; what is large goes up in parts of 8 MB.

        Args:
            uri: Which object; an older one is replaced.
            content: A file's path, an open file, bytes, or chunks.

        Raises:
            InputError: There is no such bucket.
            RetryError, SetupError: As in ``list``.
        """
        import obstore

        with self._speaking_of(uri):
            obstore.put(
                self._store(uri.bucket),
                uri.key,
                content,
                chunk_size=_PART_BYTES,
                max_concurrency=4,
            )

    @contextmanager
    def _speaking_of(self, uri: S3Uri) -> Iterator[None]:
        """Turn obstore's errors into ours, which name the object and the remedy."""
        from obstore import exceptions as theirs

        try:
            yield
        except SageMakerLocalError:
            raise
        except (FileNotFoundError, theirs.NotFoundError) as error:
            missing = "bucket" if "NoSuchBucket" in str(error) else "object"
            name = f"s3://{uri.bucket}" if missing == "bucket" else str(uri)
            raise InputError(
                f"There is no {missing} {name} at {self._endpoint}. Check its name, or create it."
            ) from error
        except (theirs.InvalidPathError, ValueError) as error:
            raise InputError(
                f"{uri} is, or lies beside, a key with an empty part (a//b), which cannot be "
                f"read here ({_first_line(str(error))}). Rename that object."
            ) from error
        except (theirs.PermissionDeniedError, theirs.UnauthenticatedError) as error:
            raise SetupError(
                f"S3 at {self._endpoint} refuses access to {uri}. "
                "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the service."
            ) from error
        except (theirs.BaseError, OSError) as error:
            text = str(error)
            if "NoSuchBucket" in text:
                raise InputError(
                    f"There is no bucket s3://{uri.bucket} at {self._endpoint}. "
                    "Check its name, or create it."
                ) from error
            if re.search(r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied", text):
                raise SetupError(
                    f"S3 at {self._endpoint} refuses access to {uri}. "
                    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the service."
                ) from error
            raise RetryError(
                f"S3 at {self._endpoint} failed on {uri} ({_first_line(text)}). "
                "Check that it runs, then try again."
            ) from error


def _first_line(text: str) -> str:
    return text.partition("\n")[0].strip()[:300]
