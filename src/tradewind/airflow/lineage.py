"""Report what was read and written to Airflow's assets, hook lineage and OpenLineage."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tradewind.move.receipt import Receipt

__all__ = [
    "Dataset",
    "Lineage",
    "dataset_of_uri",
    "note_outlets",
    "openlineage_facets",
    "report_to_hooks",
]

_log = logging.getLogger(__name__)


class Dataset(NamedTuple):
    """Data by OpenLineage's names: https://openlineage.io/docs/spec/naming/.

    Args:
        namespace: The system, like ``s3://bucket`` or ``postgres://host:5432``.
        name: The data in it, like ``key`` or ``database.schema.table``.
    """

    namespace: str
    name: str

    @property
    def uri(self) -> str:
        """One URI of both, as Airflow's assets have them."""
        if self.namespace == "file":
            return _whole(f"file://{self.name}")
        # Airflow's assets know tables as paths: postgres://host:5432/database/schema/table.
        path = self.name.replace(".", "/") if self.namespace.startswith(_TABLES) else self.name
        return _whole(f"{self.namespace}/{path.lstrip('/')}")


def _whole(uri: str) -> str:
    """Write a URI so that Airflow's assets keep all of it: they drop what follows # or ?."""
    return uri.replace("#", "%23").replace("?", "%3F")


@dataclass(frozen=True)
class Lineage:
    """What is read and written.

    Args:
        inputs: What is read.
        outputs: What is written; told by the receipt where empty.
        query: The SQL that reads.
    """

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    query: str | None = None


_TABLES = ("postgres:", "mysql:", "mongodb:")


def dataset_of_uri(uri: str) -> Dataset:
    """Name the data of a URI.

    Args:
        uri: Of an object, a prefix or a file, without any secret.
    """
    # Not by urlsplit: keys may hold '?' and '#'.
    scheme, _, rest = uri.partition("://")
    host, _, path = rest.partition("/")
    if scheme == "file":
        return Dataset("file", f"/{path}")
    return Dataset(f"{scheme}://{host}", path.strip("/") or "/")


def outputs_of(lineage: Lineage, receipt: Receipt) -> tuple[Dataset, ...]:
    """Name what a move has published: the folder of the manifest where there is one."""
    if lineage.outputs:
        return lineage.outputs
    stored = receipt.stored
    if stored.manifest:
        return (dataset_of_uri(stored.manifest.rsplit("/", 1)[0]),)
    return tuple(dataset_of_uri(each.uri) for each in stored.objects)


def note_outlets(context: Mapping[str, Any], outlets: Iterable[Any], receipt: Receipt) -> None:
    """Add rows, bytes and place of what was published to the events of the task's asset outlets.

    An asset alias gets the published object, or the manifest of several, as its asset.

    Args:
        context: Of ``execute``.
        outlets: Of the task.
        receipt: What was done.
    """
    from airflow.sdk import Asset, AssetAlias

    events = context.get("outlet_events")
    if events is None:
        return
    stored = receipt.stored
    place = stored.manifest or (stored.objects[0].uri if stored.objects else None)
    facts: dict[str, Any] = {
        "rows": receipt.rows,
        "bytes": receipt.bytes,
        "objects": len(stored.objects),
        "uri": place,
        "owner": receipt.owner,
    }
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            if place is not None:
                try:
                    events[outlet].add(Asset(uri=_whole(place), name=place), extra=facts)
                except ValueError as error:
                    _log.warning("%s cannot be an asset of %s: %s", place, outlet, error)
            continue
        try:
            event = events[outlet]
        except TypeError:  # Outlets may be things of other listeners.
            continue
        event.extra.update(facts)


def report_to_hooks(operator: Any, lineage: Lineage, receipt: Receipt) -> None:
    """Tell the readers of Airflow's hook lineage, if there are any.

    Args:
        operator: Stands for the hook.
        lineage: What was read and written.
        receipt: What was done.
    """
    from airflow.sdk.lineage import get_hook_lineage_collector

    collector = get_hook_lineage_collector()
    for add, datasets in (
        (collector.add_input_asset, lineage.inputs),
        (collector.add_output_asset, outputs_of(lineage, receipt)),
    ):
        for dataset in datasets:
            try:
                add(operator, uri=dataset.uri)
            except ValueError as error:
                _log.debug("%s is no asset: %s", dataset.uri, error)


def openlineage_facets(lineage: Lineage, receipt: Receipt | None) -> Any:
    """Make what OpenLineage asks an operator for.

    Args:
        lineage: What was read and written.
        receipt: What was done; None where it failed.

    Returns:
        An ``OperatorLineage``; None where the OpenLineage provider is not installed.
    """
    if importlib.util.find_spec("airflow.providers.openlineage") is None:
        return None
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import (
        input_statistics_input_dataset,
        output_statistics_output_dataset,
        sql_job,
    )

    inputs = [InputDataset(each.namespace, each.name) for each in lineage.inputs]
    outputs = []
    if receipt is not None:
        if len(inputs) == 1:
            read = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                rowCount=receipt.rows
            )
            inputs[0].inputFacets = {"inputStatistics": read}
        datasets = outputs_of(lineage, receipt)
        single = len(datasets) == 1
        for number, each in enumerate(datasets):
            one = None if single else receipt.stored.objects[number]
            written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=receipt.rows if one is None else one.rows,
                size=receipt.bytes if one is None else one.bytes,
                fileCount=len(receipt.stored.objects) if one is None else 1,
            )
            outputs.append(
                OutputDataset(each.namespace, each.name, outputFacets={"outputStatistics": written})
            )
    elif lineage.outputs:
        outputs = [OutputDataset(each.namespace, each.name) for each in lineage.outputs]
    jobs = {"sql": sql_job.SQLJobFacet(query=lineage.query)} if lineage.query else {}
    return OperatorLineage(inputs=inputs, outputs=outputs, job_facets=jobs)
