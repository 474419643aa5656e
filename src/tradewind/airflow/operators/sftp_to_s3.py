"""`SFTPToS3Operator`: files of an SFTP server to S3."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, one_slash
from tradewind.airflow.sftp_copies import SFTPSource
from tradewind.airflow.sftp_names import check_names, key_in, present, renamed

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["SFTPToS3Operator"]


class SFTPToS3Operator(SFTPSource):
    """Copy files of an SFTP server to S3. Takes the place of the official operator.

    Args:
        s3_bucket: The bucket. (templated)
        s3_key: Key of the object, or ``s3://bucket/key``; of several files what their keys begin
            with, as ``folder/``. (templated)
        sftp_path: Path of the file, or of several the folder; it begins at the folder of the login
            where it has no ``/`` before it. (templated)
        sftp_conn_id: The connection, of type ``sftp`` or ``ssh``. (templated)
        sftp_remote_host: The machine, instead of the connection's.
        sftp_filenames: For several files: a list of what follows `sftp_path`, or what names in that
            folder begin with; ``*`` for all files in it. (templated)
        s3_filenames: Other names in S3: a list, or what stands there instead of that beginning.
            (templated)
        use_temp_file: Of no effect: the data are streamed.
        fail_on_file_not_exist: Whether a file that is named and missing is an error; it is left out
            otherwise.
        replace: Whether objects that are there are replaced; it is an error otherwise, unless an
            earlier attempt of this task run has made them.
        encrypt: Have S3 encrypt them with its own keys (``AES256``).
        gzip: Compress on the way; the keys stay as they are.
        acl_policy: A canned ACL; none is sent when not given.
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        s3_conn_id: A former name of it.
        newer_than: Only files that were written then or later, by the server's clock: a time, or
            its text in ISO 8601; of UTC without a zone. (templated)
        stable_seconds: Only files whose size and time are still the same after so many seconds.
        done_file: Only files that have one of this name beside them, in which ``{name}`` is the
            file's own: ``{name}.done`` or ``_SUCCESS``. Such files are not copied. (templated)
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "s3_key",
        "sftp_path",
        "s3_bucket",
        "sftp_filenames",
        "s3_filenames",
        "sftp_conn_id",
        "aws_conn_id",
        "newer_than",
        "done_file",
    )

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_key: str,
        sftp_path: str,
        sftp_conn_id: str = "ssh_default",
        sftp_remote_host: str = "",
        sftp_filenames: str | list[str] | None = None,
        s3_filenames: str | list[str] | None = None,
        use_temp_file: bool = True,
        fail_on_file_not_exist: bool = True,
        replace: bool = False,
        encrypt: bool = False,
        gzip: bool = False,
        acl_policy: str | None = None,
        aws_conn_id: str | None = "aws_default",
        s3_conn_id: str | None = None,
        newer_than: datetime | str | None = None,
        stable_seconds: float = 0.0,
        done_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            newer_than=newer_than, stable_seconds=stable_seconds, done_file=done_file, **kwargs
        )
        if s3_conn_id is not None:
            warnings.warn(
                "The 's3_conn_id' parameter is deprecated. Use 'aws_conn_id'.",
                DeprecationWarning,
                stacklevel=2,
            )
            aws_conn_id = s3_conn_id
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.sftp_path = sftp_path
        self.sftp_conn_id = sftp_conn_id
        self.sftp_remote_host = sftp_remote_host
        self.sftp_filenames = sftp_filenames
        self.s3_filenames = s3_filenames
        self.use_temp_file = use_temp_file
        self.fail_on_file_not_exist = fail_on_file_not_exist
        self.replace = replace
        self.encrypt = encrypt
        self.gzip = gzip
        self.acl_policy = acl_policy
        self.aws_conn_id = aws_conn_id

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """Look which files there are, and name each copy."""
        from tradewind.systems.s3.airflow import s3_store
        from tradewind.systems.sftp.airflow import sftp_store

        check_names(self.sftp_filenames, self.s3_filenames, "sftp_filenames", "s3_filenames")
        extra: dict[str, Any] = {}
        if self.encrypt:
            extra["ServerSideEncryption"] = "AES256"
        if self.acl_policy:
            extra["ACL"] = self.acl_policy
        key = key_in(self.s3_bucket, self.s3_key, "s3_key")
        source = sftp_store("", self.sftp_conn_id, remote_host=self.sftp_remote_host or None)
        path = source.absolute(self.sftp_path).lstrip("/")
        names = self.sftp_filenames
        wanted: dict[str, str] = {}
        if isinstance(names, str) and names:
            path = one_slash(path, "") if path else ""
            infos = [
                info
                for info in source.files(path)
                if names == "*" or info.key[len(path) :].startswith(names)
            ]
            for info in infos:
                wanted[info.key] = key + renamed(info.key[len(path) :], names, self.s3_filenames)
        else:
            others = self.s3_filenames or names or [""]
            wanted = {
                path + name: key + other for name, other in zip(names or [""], others, strict=True)
            }
            infos = present(
                source, list(wanted), required=self.fail_on_file_not_exist, log=self.log.info
            )
        infos = self.whole(source, infos, named=not isinstance(names, str))
        return Copies(
            source,
            s3_store(self.s3_bucket, self.aws_conn_id, extra_args=extra),
            [(info.key, wanted[info.key]) for info in infos],
            read=path,
            written=key,
            existing="replace" if self.replace else "refuse",
            gzip=self.gzip,
        )
