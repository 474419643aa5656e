"""`S3ToSFTPOperator`: objects of S3 to an SFTP server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator
from tradewind.airflow.sftp_names import check_names, key_in, present, renamed

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["S3ToSFTPOperator"]


class S3ToSFTPOperator(CopyOperator):
    """Copy objects of S3 to an SFTP server. Takes the place of the official operator.

    Each file appears whole, by a rename, over one that is there.

    Args:
        s3_bucket: The bucket. (templated)
        s3_key: Key of the object, or ``s3://bucket/key``; of several objects what their keys begin
            with, as ``folder/``. (templated)
        sftp_path: Path of the file; of several what their paths begin with, as ``/folder/``. It
            begins at the folder of the login where it has no ``/`` before it. (templated)
        sftp_conn_id: The connection, of type ``sftp`` or ``ssh``. (templated)
        sftp_remote_host: The machine, instead of the connection's.
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        s3_filenames: For several objects: a list of what follows `s3_key`, or what the last parts
            of keys begin with; ``*`` for all. (templated)
        sftp_filenames: Other names there: a list, or what stands instead of that beginning.
            (templated)
        confirm: Of no effect: the size is always compared.
        fail_on_file_not_exist: Whether an object that is named and missing is an error; it is left
            out otherwise.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "s3_key",
        "sftp_path",
        "s3_bucket",
        "s3_filenames",
        "sftp_filenames",
        "sftp_conn_id",
        "aws_conn_id",
    )

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_key: str,
        sftp_path: str,
        sftp_conn_id: str = "ssh_default",
        sftp_remote_host: str = "",
        aws_conn_id: str | None = "aws_default",
        s3_filenames: str | list[str] | None = None,
        sftp_filenames: str | list[str] | None = None,
        confirm: bool = True,
        fail_on_file_not_exist: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.sftp_path = sftp_path
        self.sftp_conn_id = sftp_conn_id
        self.sftp_remote_host = sftp_remote_host
        self.aws_conn_id = aws_conn_id
        self.s3_filenames = s3_filenames
        self.sftp_filenames = sftp_filenames
        self.confirm = confirm
        self.fail_on_file_not_exist = fail_on_file_not_exist

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each file."""
        from tradewind.systems.s3.airflow import s3_store
        from tradewind.systems.sftp.airflow import sftp_store

        check_names(self.s3_filenames, self.sftp_filenames, "s3_filenames", "sftp_filenames")
        source = s3_store(self.s3_bucket, self.aws_conn_id)
        key = key_in(self.s3_bucket, self.s3_key, "s3_key")
        target = sftp_store("", self.sftp_conn_id, remote_host=self.sftp_remote_host or None)
        path = target.absolute(self.sftp_path).lstrip("/")
        names = self.s3_filenames
        if isinstance(names, str) and names:
            found = [
                one[len(key) :]
                for one in self.names(info.key for info in source.list(key))
                if names == "*" or one[len(key) :].rpartition("/")[2].startswith(names)
            ]
            pairs = [(key + one, path + renamed(one, names, self.sftp_filenames)) for one in found]
        else:
            others = self.sftp_filenames or names or [""]
            wanted = {
                key + name: path + other for name, other in zip(names or [""], others, strict=True)
            }
            infos = present(
                source, list(wanted), required=self.fail_on_file_not_exist, log=self.log.info
            )
            pairs = [(info.key, wanted[info.key]) for info in infos]
        return Copies(source, target, pairs, read=key, written=path)
