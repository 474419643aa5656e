"""What differs from the official operators: the table that ``tradewind adopt`` tells from.

The pages about the operators hold the same rows, with why it is so, and a test holds the two
against each other. See `tradewind.commands.adopt_operators` for what is refused.
"""

from __future__ import annotations

from tradewind.commands.adopt_table_work import WORK

__all__ = ["ROWS", "Row"]

Row = tuple[str, str, str]
"""What it is about, with names of parameters in backticks; how the official operator has it; how
Tradewind's has it. In the words of the pages."""

_MOVES: dict[str, tuple[Row, ...]] = {
    "transfers": (
        ("memory", "the whole result, several times", "the same at any size"),
        ("a failed attempt", "may leave some files, some rows", "leaves nothing visible"),
        ("`replace=False`", "a retry fails on its own earlier upload", "its own does not count"),
        ("", "looks when all is read", "refuses before anything is read"),
        ("return value (XCom)", "none", "the receipt"),
        ("errors of the input", "retried", "fail at once"),
    ),
    "SqlToS3Operator": (
        ("CSV without `index=`", "has a column of row numbers", "has none; `index=True` gives it"),
        ("NULL in CSV", "empty, as is an empty string", 'empty; an empty string is `""`'),
        ("booleans in CSV", "`True`, `False`", "`t`, `f` as PostgreSQL writes them"),
        (
            '`file_format="json"`',
            'one object of columns, `{"a":{"0":1}}`',
            'JSON lines; `orient="records"` gives one array, other `orient`s are refused',
        ),
        ('`file_format="jsonl"`', "not there", "JSON lines"),
        ("dates in JSON", "milliseconds", "ISO 8601"),
        (
            "Parquet",
            'snappy; NULL becomes `"None"` in text columns',
            "zstd; NULL is NULL, types are the database's",
        ),
        (
            "`df_kwargs`, `pd_kwargs`",
            "all of pandas' and polars'",
            "`sep`, `header` (True, False), `index`, `na_rep`, `quotechar`, `lineterminator`, "
            "`compression`, `orient`, `lines`, `row_group_size`, ...; others are refused by "
            "name",
        ),
        (
            "`read_kwargs`",
            "all of `read_sql`'s",
            "what changes no data; others are refused by name",
        ),
        (
            "`groupby_kwargs`",
            "drops rows whose group is NULL; several columns overwrite each other's files",
            "`by` only; NULL's file is called `NULL`, several columns are joined by `_`; more "
            "than 256 groups want the query sorted by them",
        ),
        (
            "several files",
            "one after another as they are written; old ones stay",
            "appear together within moments, when all are written; those of an earlier run "
            "that are no more are deleted",
        ),
        ("`parameters`", "not templated", "templated"),
    ),
    "MongoToS3Operator": (
        ("", "no line end after the last document", "a line end after each"),
        ("`compression`", "gzip", "gzip, zstd"),
    ),
    "HttpToS3Operator": (
        (
            "",
            "the body in memory; no timeout, no retry",
            "streamed; 10 s to connect, 60 s without a byte; retried with backoff, honouring "
            "Retry-After",
        ),
        ("`pagination`, `records`", "not there", "all pages as JSON lines"),
        ("`log_response=True`", "logs the body", "refused"),
        ("`tcp_keep_alive...`", "socket options", "no effect"),
        ("`check_response: False`", "stores an error page", "refused"),
    ),
    "S3ToSqlOperator": (
        ("without `parser`", "an error", "streamed, the format by the key's ending"),
        (
            "`commit_every`",
            "commits in between: a retry doubles rows",
            "no effect: one transaction",
        ),
        ("`mode`, `slice`, `keys`, `file_format`", "not there", "replace a date's rows, or upsert"),
        ("databases", "any DbApiHook", "PostgreSQL, MySQL, MariaDB, SQLite"),
    ),
    "S3CopyObjectOperator": (
        (
            "",
            "5 GiB at most; sends ACL `private`",
            "any size, by parallel ranges; no ACL unless asked; verified",
        ),
        ('`meta_data_directive="REPLACE"`', "drops metadata", "refused"),
    ),
    "SqlToGCSOperator": (
        (
            "`filename` with `{}`",
            "a file each 1.9 GB",
            "the same; without `{}` one object of any size",
        ),
        ("`schema_filename`, `partition_columns`, `stringify_dict`", "there", "refused by name"),
    ),
    "copies between stores": (
        ("", "a temporary file of each object, one after another", "streamed, eight at once"),
        (
            "content type, encoding, metadata",
            "lost, but in GCSToGCS",
            "kept; in GCSToGCS also cache control, disposition, language and custom time, and "
            "the storage class is the target bucket's",
        ),
        (
            "two sources that become one object",
            "the last one wins, or the first",
            "refused before anything is copied",
        ),
        (
            "folders' markers (`a/` beside `a/b`)",
            "left out by GCSToS3 and AzureBlobStorageToS3",
            "the same",
        ),
        (
            "`delete_extra_files`",
            "GCSSynchronizeBuckets alone",
            "also GCSToS3, S3ToGCS, GCSToAzureBlobStorage, AzureBlobStorageToS3, "
            "S3ToAzureBlobStorage",
        ),
    ),
    "S3ToGCSOperator": (
        ("`deferrable=True`", "Google's Storage Transfer Service gets the keys of AWS", "refused"),
        ("`apply_gcs_prefix` with `apply_wildcard`", "ignores the folder", "refused"),
    ),
    "GCSToS3Operator": (
        ("`gcp_user_project`", "bills a project", "refused"),
        ("`match_glob`", "wants the Google provider", "works without it"),
    ),
    "GCSToGCSOperator": (
        (
            "",
            "rewritten by Google",
            "the same; streamed where the credentials of the one bucket do not read the other",
        ),
        (
            "`delimiter`, `*` where nothing ends so",
            "may copy everything of the prefix",
            "copies nothing",
        ),
        ('`delimiter="/"`', "copies names of folders", "refused"),
        (
            "`replace=False`",
            "the number of new objects decides their names, and the last may be replaced",
            "the number of all objects does; none is replaced",
        ),
        (
            "`move_object=True`",
            "deletes each source after its copy, also one that was replaced meanwhile",
            "deletes when all are copied, and what is as it was copied",
        ),
        ("onto itself", "deletes it with `move_object`", "refused"),
        ("`retain_until_time`, `retention_mode`", "set", "refused"),
    ),
    "S3ToAzureBlobStorageOperator": (
        ('`s3_prefix="a/"`, `replace=True`', "fail", "work"),
        ("`s3_prefix` that is no folder", "fails in the middle", "refused before"),
        (
            "`s3_verify` when not given",
            "certificates are not checked",
            "the same: give `s3_verify=None` for what the connection says",
        ),
    ),
    "LocalFilesystemToWasbOperator": (
        (
            "`load_options`",
            "all of `upload_blob`'s",
            "`overwrite`, `metadata`, `max_concurrency`; others are refused by name",
        ),
        (
            "`wasb_extra_args`, `s3_extra_args`",
            "arguments of hooks",
            "`region_name` of S3; others are refused by name",
        ),
    ),
    "SFTPToS3Operator": (
        (
            "`use_temp_file=False`",
            "replaces whatever `replace` says, and does not compress",
            "no effect: always streamed; `replace` and `gzip` hold",
        ),
        (
            "`s3_key` that is a URI",
            "the bucket in it is ignored",
            "refused where it is not `s3_bucket`",
        ),
        (
            "`s3_filenames`",
            "lists of other lengths are cut, a text beside a list is taken letter by letter",
            "refused",
        ),
        (
            "`sftp_filenames` that are a text",
            "fails at a folder of such a name",
            "takes files alone",
        ),
        (
            "`newer_than`, `stable_seconds`, `done_file`",
            "not there",
            "what was written then or later; what is whole",
        ),
    ),
    "S3ToSFTPOperator": (
        (
            "",
            "written in place: readers see half",
            "appears whole, by a rename; folders are made",
        ),
        (
            "`sftp_filenames`",
            "lists of other lengths are cut, a text beside a list is taken letter by letter",
            "refused",
        ),
    ),
    "SFTPToGCSOperator": (
        (
            "`destination_path` with `*` in `source_path`",
            "`folder/` has two slashes after it, and from `/*` none",
            "one slash",
        ),
        (
            "`destination_path` that ends in `/`, without `*`",
            "an object of that name",
            "refused",
        ),
        (
            "`move_object=True`",
            "deletes each file after its copy, also one that was replaced meanwhile",
            "deletes when all are copied, and what is as it was copied",
        ),
        (
            "`use_stream=True`",
            "no media type, no `gzip`",
            "no effect: always streamed; `mime_type` and `gzip` hold",
        ),
        (
            "`newer_than`, `stable_seconds`, `done_file`",
            "not there",
            "what was written then or later; what is whole",
        ),
    ),
    "GCSToSFTPOperator": (
        (
            "",
            "written in place: readers see half",
            "appears whole, by a rename",
        ),
        (
            "`move_object=True`",
            "deletes each object after its copy, also one that was replaced meanwhile",
            "deletes when all are copied, and what is as it was copied",
        ),
    ),
    "SFTPToWasbOperator": (
        (
            "`sftp_source_path` that is a file",
            "may be taken for a folder, and fail",
            "the file",
        ),
        (
            "`load_options`",
            "all of `upload_blob`'s",
            "`overwrite`, `metadata`, `max_concurrency`; others are refused by name",
        ),
        (
            "`move_object=True`",
            "deletes when all are copied, also what was replaced meanwhile",
            "deletes what is as it was copied",
        ),
        (
            "`newer_than`, `stable_seconds`, `done_file`",
            "not there",
            "what was written then or later; what is whole",
        ),
    ),
    "GCSToAzureBlobStorageOperator": (
        ("`gcp_user_project`", "bills a project", "refused"),
        ("`match_glob`", "wants the Google provider", "works without it"),
    ),
    "GCSSynchronizeBucketsOperator": (
        (
            "",
            "copies what has another CRC32C",
            "copies what is no copy of the same version",
        ),
        (
            "`delete_extra_files=True`",
            "deletes before it copies, whatever was written meanwhile; with an empty source all",
            "deletes when all are copied, and what nobody has replaced since; refused where there "
            "is no source at all, and with `recursive=False`",
        ),
        ("return value (XCom)", "none", "the receipt, with what was deleted"),
    ),
    "AzureBlobStorageToGCSOperator": (
        ("`filename`", "of no effect", "the same; may be left out, as `gzip`"),
        (
            "`write_on_empty`",
            "an empty result writes nothing",
            "always an object, with header or schema",
        ),
    ),
}
ROWS = {**_MOVES, **WORK}
"""By the name of an operator of Tradewind, or of a family of them."""
