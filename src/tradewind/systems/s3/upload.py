"""Writing one object to S3: a put for a small one, a multipart upload for any other.

By boto3's client, but not its ``upload_fileobj``: that takes no condition (``If-Match``,
``If-None-Match``; boto3 1.43), so an attempt that was overtaken would put its older rows over newer
ones, and it reads from a file where a move hands its pieces over.

Over 400 lines: one class, whose parts, checksums and completion share what was sent.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import zlib
from collections.abc import Mapping
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.objects.crc32 import combined
from tradewind.move.store import OWNER, ObjectInfo, Unfinished, Upload
from tradewind.systems.s3.begin import begin
from tradewind.systems.s3.conditions import keeps_conditions
from tradewind.systems.s3.errors import ConditionError, GoneError, code_of, told, translated
from tradewind.systems.s3.records import Record

if TYPE_CHECKING:
    from tradewind.systems.s3.bucket import Bucket

__all__ = ["S3Upload", "part_size"]

_MOST_PARTS = 10_000
_PARTS_A_SIZE = 1_000
_PATIENCE = 30.0
_MD5 = re.compile(r"[0-9a-f]{32}")


def part_size(number: int, base: int) -> int:
    """Tell how large a part is, by its number alone, so that a retry cuts the same parts.

    S3 takes 10,000 parts. The first 1,000 have the base size, and each further 1,000 twice the
    size of those before: with 8 MiB that makes room for 8 TiB.

    Args:
        number: From 1.
        base: Bytes of the first parts.

    Returns:
        Bytes.
    """
    return base << ((number - 1) // _PARTS_A_SIZE)


class S3Upload(Upload):
    """An object being written; made by `S3Store.upload`.

    Parts go out by the store's threads, a few at once. Each carries its CRC32, which S3 checks and
    confirms; a server that does not confirm it has to answer the part's MD5 as its ETag. S3 checks
    the CRC32 of the whole object on completion.

    On a server that keeps no conditions an upload that has one is begun at once, and is one in
    parts however small it is: aborting it is all that keeps an attempt that was overtaken out.
    """

    def __init__(
        self,
        store: Bucket,
        key: str,
        *,
        arguments: Mapping[str, Any],
        create_only: bool,
        replaces: str | None,
    ) -> None:
        self._store = store
        self._key = key
        self._where = store.describe(key)
        self._target = {"Bucket": store.bucket, "Key": key}
        self._arguments = dict(arguments)
        self._create_only = create_only
        self._replaces = replaces
        self._waiting: list[memoryview] = []
        self._gathered = 0
        self._id: str | None = None
        self._record: Record | None = None
        self._parts: list[Future[dict[str, Any]]] = []
        self._sizes: list[int] = []
        self._failed: BaseException | None = None
        self._closed = False
        self._size = 0
        owner = str(self._arguments.get("Metadata", {}).get(OWNER, ""))
        if (create_only or replaces is not None) and not keeps_conditions(store, key, owner):
            # Then a later attempt of the same owner can abort it, however small it is.
            self._begin()

    # ------------------------------------------------------------------------------------- writing

    def write(self, data: bytes) -> None:
        """Hand over the next bytes; waits while `S3Store.connections` parts are on their way."""
        if self._closed:
            raise ValueError(f"{self._where}: the upload is closed.")
        rest = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        while len(rest):
            room = part_size(len(self._parts) + 1, self._store.part_bytes) - self._gathered
            self._waiting.append(rest[:room])
            self._gathered += min(room, len(rest))
            rest = rest[room:]
            if len(rest):
                # There is more: this part is full, and is not the last, so that an object of
                # exactly one part is a small one.
                self._send()

    def _take(self, buffer: bytearray | None = None) -> bytes | bytearray:
        """Put together what was gathered, in a buffer of its size if there is one."""
        data: bytes | bytearray
        if buffer is None:
            data = b"".join(self._waiting)
        else:
            at = 0
            with memoryview(buffer) as room:
                for piece in self._waiting:
                    room[at : at + len(piece)] = piece
                    at += len(piece)
            data = buffer
        self._waiting.clear()
        self._gathered = 0
        self._size += len(data)
        return data

    def _send(self) -> None:
        if self._failed is not None:
            raise self._failed
        if len(self._parts) == _MOST_PARTS:
            raise InputError(
                f"{self._where}: the object would have more than {_MOST_PARTS} parts. Write "
                f"several objects, or give the store larger parts than {self._store.part_bytes} "
                "bytes."
            )
        if self._id is None:
            self._begin()
        self._store.slots.acquire()
        buffer = self._store.buffer(self._gathered)
        try:
            self._take(buffer)
            self._sizes.append(len(buffer))
            number = len(self._parts) + 1
            self._parts.append(self._store.pool.submit(self._send_part, number, buffer))
        except BaseException:
            self._store.give_back(buffer)
            raise

    def _begin(self) -> None:
        def create() -> Any:
            return self._store.client.create_multipart_upload(
                **self._target,
                **self._arguments,
                ChecksumAlgorithm="CRC32",
                ChecksumType="FULL_OBJECT",
            )

        with translated(self._where, "begin an upload"):
            self._id, self._record = begin(
                self._store.client,
                self._store.bucket,
                self._key,
                self._arguments.get("Metadata", {}),
                create,
            )

    def _forget(self) -> None:
        """Remove the record of this upload. One that stays is the owner's next attempt's matter."""
        if self._record is not None:
            with contextlib.suppress(TradewindError):
                self._store.discard(self._record)
            self._record = None

    def _send_part(self, number: int, data: bytearray) -> dict[str, Any]:
        try:
            if self._failed is not None:
                raise self._failed
            crc = zlib.crc32(data)
            with translated(self._where, f"write part {number}"):
                answer = self._store.client.upload_part(
                    **self._target,
                    **self._store.part_arguments,
                    UploadId=self._id,
                    PartNumber=number,
                    Body=data,
                    ChecksumCRC32=_base64(crc),
                )
            self._verify(answer, data, crc, f"part {number}")
            return {
                "PartNumber": number,
                "ETag": answer["ETag"],
                "crc": crc,
                "confirmed": answer.get("ChecksumCRC32") is not None,
            }
        except BaseException as error:
            self._failed = error
            raise
        finally:
            self._store.give_back(data)

    def _verify(
        self, answer: Mapping[str, Any], data: bytes | bytearray, crc: int, what: str
    ) -> None:
        confirmed = answer.get("ChecksumCRC32")
        if confirmed is not None:
            right = confirmed == _base64(crc)
        else:
            etag = answer.get("ETag", "").strip('"')
            opaque = "SSECustomerAlgorithm" in answer or str(
                answer.get("ServerSideEncryption", "")
            ).startswith("aws:kms")
            if opaque or not _MD5.fullmatch(etag):
                return  # such an ETag says nothing of the bytes; the size is looked at later
            right = etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
        if not right:
            raise RetryError(
                f"{self._where}: what S3 has got of {what} is not what was sent. Try again."
            )

    # ---------------------------------------------------------------------------------- completion

    @concealing()
    def complete(self) -> ObjectInfo:
        """Make the object visible, whole; see `Upload.complete`."""
        if self._closed:
            raise ValueError(f"{self._where}: the upload is closed.")
        if self._id is not None and not self._parts and not self._gathered:
            # Begun beforehand, and there is nothing: S3 takes no upload without parts.
            self._store.discard(Unfinished(self._key, self._id))
            self._id = None
        if self._id is None:
            info = self._put()
        else:
            if self._gathered:
                self._send()
            info = self._complete([part.result() for part in self._parts])
        self._closed = True
        self._parts.clear()
        self._forget()
        return info

    def _put(self) -> ObjectInfo:
        data = self._take()
        crc = zlib.crc32(data)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()

        def put(**condition: str) -> dict[str, Any]:
            answer: dict[str, Any] = self._store.client.put_object(
                **self._target,
                **self._arguments,
                **self._store.part_arguments,
                Body=data,
                ChecksumCRC32=_base64(crc),
                **condition,
            )
            return answer

        answer = self._conditional(put, "write", expected=md5)
        if answer is not None:
            self._verify(answer, data, crc, "it")
        return self._stored(crc, md5 if answer is None else answer["ETag"].strip('"'))

    def _complete(self, parts: list[dict[str, Any]]) -> ObjectInfo:
        crc = 0
        for part, size in zip(parts, self._sizes, strict=True):
            crc = combined(crc, part["crc"], size)
        expected = _etag_of([part["ETag"].strip('"') for part in parts])
        confirmed = all(part["confirmed"] for part in parts)
        listed = [
            {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
            | ({"ChecksumCRC32": _base64(part["crc"])} if confirmed else {})
            for part in parts
        ]
        whole: dict[str, Any] = (
            {"ChecksumCRC32": _base64(crc), "ChecksumType": "FULL_OBJECT"} if confirmed else {}
        )

        def complete(**condition: str) -> dict[str, Any]:
            answer: dict[str, Any] = self._store.client.complete_multipart_upload(
                **self._target,
                UploadId=self._id,
                MultipartUpload={"Parts": listed},
                **whole,
                **condition,
            )
            return answer

        answer = self._conditional(complete, "complete", expected=expected)
        etag = (expected or "") if answer is None else str(answer.get("ETag", "")).strip('"')
        if (
            expected is not None
            and not confirmed
            and etag.endswith(f"-{len(parts)}")
            and etag != expected
        ):
            raise RetryError(
                f"{self._where}: S3 says that the object is {etag}, where its parts make "
                f"{expected}. Write it again."
            )
        return self._stored(crc, etag or expected)

    def _conditional(self, request: Any, doing: str, *, expected: str | None) -> Any:
        """Send what makes the object visible, under its conditions.

        Returns:
            The answer, None where it was lost and the object is found to be there.
        """
        condition: dict[str, str] = {}
        if self._create_only or self._replaces is not None:
            self._look_before()
            condition = (
                {"IfNoneMatch": "*"} if self._create_only else {"IfMatch": f'"{self._replaces}"'}
            )
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            try:
                return request(**condition)
            except ClientError as error:
                if not condition or code_of(error) not in ("NotImplemented", "501"):
                    raise
                # A server without such conditions: what was looked up just before has to do.
                return request()
        except (ClientError, BotoCoreError, OSError) as error:
            failed = told(error, self._where, doing)
        if isinstance(failed, ConditionError | GoneError | RetryError) and expected is not None:
            # botocore sends again when an answer was lost; then it is the second that is refused.
            with contextlib.suppress(Exception):
                there = self._store.head(self._key)
                if there is not None and there.etag == expected and self._is_mine(there):
                    return None
        raise failed

    def _is_mine(self, there: ObjectInfo) -> bool:
        sent = {name.lower(): text for name, text in self._arguments.get("Metadata", {}).items()}
        return there.size == self._size and all(
            there.metadata.get(name) == text for name, text in sent.items()
        )

    def _look_before(self) -> None:
        there = self._store.head(self._key)
        if self._create_only and there is not None:
            raise ConditionError(
                f"{self._where}: the object exists already. Nothing was written; remove it or "
                "allow to replace it."
            )
        if self._replaces is not None and (there is None or there.etag != self._replaces):
            raise ConditionError(
                f"{self._where}: the object was replaced or removed meanwhile. Nothing was "
                "written; try again."
            )

    def _stored(self, crc: int, etag: str | None) -> ObjectInfo:
        """Look at what stands there now: its size, and whether it is this one."""
        there = self._store.head(self._key)
        if there is None or (there.etag == etag and there.size != self._size):
            found = "nothing" if there is None else f"{there.size} bytes"
            raise RetryError(
                f"{self._where}: S3 has {found} where {self._size} bytes were written. Try again."
            )
        # With another ETag it has been replaced since, and what was written was whole; or the
        # server (rclone) calls it otherwise from now on.
        if there.etag != etag and self._is_mine(there):
            etag = there.etag
        return ObjectInfo(
            key=self._key,
            size=self._size,
            etag=etag,
            modified=there.modified if there.etag == etag else None,
            content_type=self._arguments.get("ContentType"),
            content_encoding=self._arguments.get("ContentEncoding"),
            metadata=dict(self._arguments.get("Metadata", {})),
            checksum=f"crc32:{crc:08x}",
        )

    # ------------------------------------------------------------------------------------ giving up

    def abort(self) -> None:
        """Remove all that was sent; see `Upload.abort`."""
        if self._closed:
            return
        self._failed = self._failed or GoneError(f"{self._where}: the upload was given up.")
        self._waiting.clear()
        if self._id is not None:
            left = Unfinished(self._key, self._id)
            try:
                self._store.discard(left)
            finally:
                # A part that was on its way may arrive after: S3 wants to be told again.
                going = []
                for part in self._parts:
                    if part.cancel():
                        self._store.give_back(None)
                    elif not part.done():
                        going.append(part)
                if going:
                    wait(going, timeout=_PATIENCE)
                    self._store.discard(left)
                self._parts.clear()
                self._forget()
        self._closed = True


def _base64(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def _etag_of(etags: list[str]) -> str | None:
    """Compute the ETag that S3 gives an object of such parts, None where theirs are no MD5s."""
    if not all(_MD5.fullmatch(etag) for etag in etags):
        return None
    digests = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"
