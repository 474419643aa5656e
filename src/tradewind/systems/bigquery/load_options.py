"""What a load job is told of the objects that it reads.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobconfigurationload
"""

from __future__ import annotations

from typing import Any

from tradewind.errors import InputError

__all__ = ["load_of"]

#: What may be said of a format, by the names of the API.
_FORMATS: dict[str, tuple[str, ...]] = {
    "CSV": (
        "allowJaggedRows",
        "allowQuotedNewlines",
        "autodetect",
        "fieldDelimiter",
        "skipLeadingRows",
        "ignoreUnknownValues",
        "nullMarker",
        "quote",
        "encoding",
        "preserveAsciiControlCharacters",
        "columnNameCharacterMap",
    ),
    "NEWLINE_DELIMITED_JSON": ("autodetect", "ignoreUnknownValues"),
    "AVRO": ("useAvroLogicalTypes",),
    "PARQUET": ("autodetect", "ignoreUnknownValues"),
    "ORC": ("autodetect",),
    "DATASTORE_BACKUP": ("projectionFields",),
}
_UPDATES = ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION")


def load_of(given: Any) -> dict[str, Any]:
    """Describe a load job, but for its objects, its table and the table's columns.

    Args:
        given: A `GCSToBigQueryOperator`, whose attributes are the official operator's parameters.

    Returns:
        What BigQuery's API calls a JobConfigurationLoad.

    Raises:
        InputError: Something of it is wrong.
    """
    kind = given.source_format
    if kind not in _FORMATS:
        raise InputError(f"source_format={kind!r}: choose from {', '.join(_FORMATS)}.")
    if not (given.schema_fields or given.schema_object) and given.autodetect is False:
        raise InputError(
            "autodetect=False, and there are neither schema_fields nor schema_object: the columns "
            "are not known. Give one of them, or autodetect=None for those of the table."
        )
    for name in given.schema_update_options:
        if name not in _UPDATES:
            raise InputError(f"schema_update_options: {name!r}: choose from {', '.join(_UPDATES)}.")
    for name in given.src_fmt_configs:
        if name not in _FORMATS[kind]:
            raise InputError(
                f"src_fmt_configs: {name!r} is nothing of {kind}. Choose from "
                f"{', '.join(_FORMATS[kind])}."
            )
    partitioning = dict(given.time_partitioning)
    if "$" in given.destination_project_dataset_table:
        partitioning = {"type": "DAY", **partitioning}
    properties = {"labels": given.labels, "description": given.description}
    several = {
        "createDisposition": given.create_disposition,
        "sourceFormat": kind,
        "writeDisposition": given.write_disposition,
        "autodetect": given.autodetect,
        "ignoreUnknownValues": given.ignore_unknown_values,
        "timePartitioning": partitioning,
        "clustering": {"fields": given.cluster_fields} if given.cluster_fields else None,
        "schemaUpdateOptions": list(given.schema_update_options),
        "maxBadRecords": given.max_bad_records,
        "destinationEncryptionConfiguration": given.encryption_configuration,
        "destinationTableProperties": {key: value for key, value in properties.items() if value},
        **_of_format(given),
        **given.src_fmt_configs,
    }
    # Booleans are said also where they are false; what is empty is not.
    return {
        name: value for name, value in several.items() if value or value is False or value == ""
    }


def _of_format(given: Any) -> dict[str, Any]:
    if given.source_format != "CSV":
        return {}
    found = {
        "skipLeadingRows": given.skip_leading_rows,
        "fieldDelimiter": given.field_delimiter,
        # Without one, BigQuery takes the double quote; an empty one means that nothing is quoted.
        "quote": given.quote_character,
        "allowQuotedNewlines": given.allow_quoted_newlines,
        "allowJaggedRows": given.allow_jagged_rows,
        "encoding": given.encoding,
    }
    if given.skip_leading_rows is not None:
        # Zero is told, too: no row is taken for a header then.
        found["skipLeadingRows"] = str(given.skip_leading_rows)
    return found
