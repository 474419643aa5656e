"""What S3 servers can do and how fast they are: the table in docs/local.md.

Run ``python bench/bench_s3_servers.py`` for the server that `tradewind up s3` starts, or name
running ones beside it: ``s3 rclone=http://127.0.0.1:9555,KEY,SECRET``. It prints a table and, as
the last line, the same as JSON.
"""

# ruff: noqa: D102
from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import obstore
import psutil
from botocore.config import Config
from botocore.exceptions import ClientError, FlexibleChecksumError
from obstore.store import S3Store

from tradewind.errors import TradewindError
from tradewind.local import Systems, up

MB = 1 << 20
BIG = 256 * MB
PART = 8 * MB
BUCKET = "bench-s3-servers"


@dataclass
class Server:
    """A running S3 server, and its clients."""

    name: str
    endpoint: str
    key: str
    secret: str
    pids: list[int] = field(default_factory=list)
    start_seconds: tuple[float, float] | None = None

    def boto(self, secret: str | None = None, **config: Any) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=secret or self.secret,
            region_name="eu-west-1",
            config=Config(
                s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **config
            ),
        )

    def store(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id=self.key,
            secret_access_key=self.secret,
            region="eu-west-1",
            client_options={"allow_http": True, "timeout": "120s"},
            retry_config={"max_retries": 0},
        )

    def memory(self) -> int:
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids)


def status_of(call: Callable[[], Any]) -> str:
    """The HTTP status of a call, as the client saw it."""
    try:
        answer = call()
    except ClientError as error:
        return str(error.response["ResponseMetadata"]["HTTPStatusCode"])
    except FlexibleChecksumError:
        return "checksum"
    return str(answer["ResponseMetadata"]["HTTPStatusCode"])


class Checks:
    """One method a row of the table; each answers yes, no or what was seen."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.s3 = server.boto()
        self.small = os.urandom(1000)
        self.big = os.urandom(20 * MB)
        self.s3.put_object(Bucket=BUCKET, Key="checks/small", Body=self.small)
        self.s3.put_object(Bucket=BUCKET, Key="checks/big", Body=self.big)
        self.s3.upload_fileobj(io.BytesIO(self.big), BUCKET, "checks/parts")

    def download_file_of_put_object(self) -> Any:
        return self._download(self.s3, "checks/big")

    def download_file_of_upload_file(self) -> Any:
        return self._download(self.s3, "checks/parts")

    def download_file_when_required(self) -> Any:
        client = self.server.boto(response_checksum_validation="when_required")
        return self._download(client, "checks/big") and self._download(client, "checks/parts")

    def ranges_boto3(self) -> Any:
        seen = set()
        for key, content in (("small", self.small), ("big", self.big), ("parts", self.big)):
            try:
                answer = self.s3.get_object(Bucket=BUCKET, Key=f"checks/{key}", Range="bytes=5-104")
                right = answer["Body"].read() == content[5:105]
                status = answer["ResponseMetadata"]["HTTPStatusCode"]
                seen.add(str(status) if right else "wrong bytes")
            except FlexibleChecksumError:
                seen.add("checksum error")
            except ClientError as error:
                seen.add(str(error.response["ResponseMetadata"]["HTTPStatusCode"]))
        return ", ".join(sorted(seen))

    def ranges_obstore(self) -> Any:
        store = self.server.store()
        for key, content in (("small", self.small), ("big", self.big), ("parts", self.big)):
            if bytes(obstore.get_range(store, f"checks/{key}", start=5, end=105)) != content[5:105]:
                return False
        ranges = obstore.get_ranges(store, "checks/big", starts=[0, 9 * MB], ends=[10, 9 * MB + 10])
        return [bytes(part) for part in ranges] == [self.big[:10], self.big[9 * MB : 9 * MB + 10]]

    def metadata_and_type(self) -> Any:
        self.s3.put_object(
            Bucket=BUCKET,
            Key="checks/meta",
            Body=b"x",
            ContentType="text/csv",
            Metadata={"own": "1"},
        )
        head = self.s3.head_object(Bucket=BUCKET, Key="checks/meta")
        return head["ContentType"] == "text/csv" and head["Metadata"] == {"own": "1"}

    def etag_is_md5(self) -> Any:
        head = self.s3.head_object(Bucket=BUCKET, Key="checks/small")
        return head["ETag"].strip('"') == hashlib.md5(self.small).hexdigest()

    def copy_and_delete(self) -> Any:
        self.s3.copy_object(
            Bucket=BUCKET, Key="checks/copy", CopySource={"Bucket": BUCKET, "Key": "checks/small"}
        )
        same = self.s3.get_object(Bucket=BUCKET, Key="checks/copy")["Body"].read() == self.small
        self.s3.delete_object(Bucket=BUCKET, Key="checks/copy")
        gone = status_of(lambda: self.s3.head_object(Bucket=BUCKET, Key="checks/copy")) == "404"
        self.s3.put_object(Bucket=BUCKET, Key="checks/copy2", Body=b"x")
        self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "checks/copy2"}]})
        gone2 = status_of(lambda: self.s3.head_object(Bucket=BUCKET, Key="checks/copy2")) == "404"
        return same and gone and gone2

    def multipart_abort_and_list(self) -> Any:
        upload = self.s3.create_multipart_upload(Bucket=BUCKET, Key="checks/abort")["UploadId"]
        self.s3.upload_part(
            Bucket=BUCKET, Key="checks/abort", UploadId=upload, PartNumber=1, Body=b"x" * 5 * MB
        )
        listed = self.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        parts = self.s3.list_parts(Bucket=BUCKET, Key="checks/abort", UploadId=upload)
        self.s3.abort_multipart_upload(Bucket=BUCKET, Key="checks/abort", UploadId=upload)
        after = self.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return (
            upload in [one["UploadId"] for one in listed]
            and len(parts["Parts"]) == 1
            and upload not in [one["UploadId"] for one in after]
        )

    def listing_in_pages(self) -> Any:
        for number in range(12):
            self.s3.put_object(Bucket=BUCKET, Key=f"pages/{number % 3}/{number:02}", Body=b"")
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix="pages/", PaginationConfig={"PageSize": 5}
        )
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        folders = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="pages/", Delimiter="/")
        return (
            keys == sorted(f"pages/{number % 3}/{number:02}" for number in range(12))
            and len(folders["CommonPrefixes"]) == 3
        )

    def key_and_key_as_prefix(self) -> Any:
        self.s3.put_object(Bucket=BUCKET, Key="both", Body=b"a")
        self.s3.put_object(Bucket=BUCKET, Key="both/below", Body=b"b")
        return self.s3.get_object(Bucket=BUCKET, Key="both")["Body"].read() == b"a"

    def if_none_match_put(self) -> Any:
        return status_of(
            lambda: self.s3.put_object(
                Bucket=BUCKET, Key="checks/small", Body=self.small, IfNoneMatch="*"
            )
        )

    def if_none_match_completion(self) -> Any:
        key = "checks/parts"
        upload = self.s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        part = self.s3.upload_part(
            Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=self.big
        )
        return status_of(
            lambda: self.s3.complete_multipart_upload(
                Bucket=BUCKET,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
                IfNoneMatch="*",
            )
        )

    def wrong_secret(self) -> Any:
        return status_of(lambda: self.server.boto("wrong").list_objects_v2(Bucket=BUCKET))

    def wrong_md5(self) -> Any:
        return status_of(
            lambda: self.s3.put_object(
                Bucket=BUCKET, Key="checks/md5", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg=="
            )
        )

    def missing_bucket(self) -> Any:
        return status_of(lambda: self.s3.head_bucket(Bucket="not-there-at-all"))

    def _download(self, client: Any, key: str) -> bool:
        target = io.BytesIO()
        client.download_fileobj(BUCKET, key, target)
        return target.getvalue() == self.big

    def run(self) -> dict[str, str]:
        rows = {}
        for name in vars(type(self)):
            if name.startswith("_") or name == "run":
                continue
            try:
                seen = getattr(self, name)()
            except FlexibleChecksumError:
                seen = "checksum error"
            except Exception as error:
                seen = f"no: {type(error).__name__} {str(error).splitlines()[0][:60]}"
            rows[name] = {True: "yes", False: "no"}.get(seen, seen)
        return rows


def speeds(server: Server) -> dict[str, str]:
    """Throughput in MB/s of one object of 256 MB, and requests a second of small ones."""
    store = server.store()
    content = os.urandom(BIG)
    rows = {}

    def rate(name: str, work: Callable[[], object], megabytes: float = BIG / MB) -> None:
        begin = time.perf_counter()
        try:
            work()
        except Exception as error:
            rows[name] = f"no: {type(error).__name__}"
            return
        rows[name] = f"{megabytes / (time.perf_counter() - begin):.0f}"

    def put(at_once: int) -> None:
        obstore.put(
            store, "speed", content, chunk_size=PART, max_concurrency=at_once, use_multipart=True
        )

    def stream() -> None:
        for chunk in obstore.get(store, "speed").stream(min_chunk_size=MB):
            len(chunk)

    def ranges() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(
                pool.map(
                    lambda at: obstore.get_range(store, "speed", start=at, end=at + PART),
                    range(0, BIG, PART),
                )
            )

    rate("put_1_part_at_once_MB_s", lambda: put(1))
    rate("put_4_parts_at_once_MB_s", lambda: put(4))
    rate("get_stream_MB_s", stream)
    rate("get_4_ranges_at_once_MB_s", ranges)
    small = os.urandom(1000)
    rate("put_small_per_s", lambda: [obstore.put(store, f"s/{n}", small) for n in range(200)], 200)
    rate("get_small_per_s", lambda: [obstore.get(store, f"s/{n}").bytes() for n in range(200)], 200)
    if server.pids:
        rows["memory_after_MB"] = f"{server.memory() / MB:.0f}"
    return rows


@contextlib.contextmanager
def started(name: str) -> Iterator[Server]:
    """A server that `tradewind up` starts, with empty data."""
    with tempfile.TemporaryDirectory() as data:
        for row in ("first", "again"):
            begin = time.perf_counter()
            with up([name], data=Path(data)) as systems:
                took = time.perf_counter() - begin
                if row == "first":
                    first = took
                    server = _server(name, systems)
                    _make_bucket(server)
                    server.boto().put_object(Bucket=BUCKET, Key="kept", Body=b"kept")
                    continue
                server = _server(name, systems)
                server.start_seconds = (first, took)
                yield server


def _server(name: str, systems: Systems) -> Server:
    environment = systems.environment
    return Server(
        name,
        systems["s3"].endpoint,
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        systems["s3"].pids,
    )


def _make_bucket(server: Server) -> None:
    with contextlib.suppress(ClientError):
        server.boto().create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )


def measure(server: Server) -> dict[str, str]:
    rows = {}
    if server.start_seconds:
        rows["start_first_s"], rows["start_again_s"] = (f"{s:.1f}" for s in server.start_seconds)
        kept = server.boto().get_object(Bucket=BUCKET, Key="kept")["Body"].read()
        rows["data_survive_restart"] = "yes" if kept == b"kept" else "no"
        rows["memory_before_MB"] = f"{server.memory() / MB:.0f}"
    _make_bucket(server)
    return rows | Checks(server).run() | speeds(server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers", nargs="*", default=["s3"])
    results: dict[str, dict[str, str]] = {}
    for text in parser.parse_args().servers:
        name, _, address = text.partition("=")
        if address:
            results[name] = measure(Server(name, *address.split(",")))
            continue
        try:
            with started(name) as server:
                results[name] = measure(server)
        except TradewindError as error:
            print(f"left out: {error}", file=sys.stderr)
    rows = list(dict.fromkeys(row for result in results.values() for row in result))
    width = max(len(row) for row in rows)
    print(f"{'':{width}}  " + "  ".join(f"{name:>24}" for name in results))
    for row in rows:
        seen = "  ".join(f"{result.get(row, '-'):>24}" for result in results.values())
        print(f"{row:{width}}  {seen}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
