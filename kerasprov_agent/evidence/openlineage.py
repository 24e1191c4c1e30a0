"""Programs, trainings and tests as run events of OpenLineage, from training data to model.

https://openlineage.io/docs/spec/object-model. An event a line, as a collector takes them: each run
has one when it began and one when it ended. What was imported without a time, or without the zone
of its time, has none.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from kerasprov_agent.evidence.names import base_name, clean, digest
from kerasprov_agent.read.materials import File, Materials, Training
from kerasprov_agent.read.record import Row, mapping
from kerasprov_agent.settings import BASE
from kerasprov_agent.version import __version__

Event = dict[str, Any]
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
FACETS = "https://openlineage.io/spec/facets"
PRODUCER = f"{BASE}kerasprov_agent/{__version__}"
NAMESPACE = "kerasprov_agent"
ENDS = {"finished": "COMPLETE", "failed": "FAIL", "lost": "ABORT", "interrupted": "ABORT"}


def written(materials: Materials) -> list[Event]:
    """The events of all that led to a model, or of a whole database, in the order of time."""
    events = [
        event
        for execution in materials.origin.executions
        for event in _of_program(materials, execution)
    ]
    for training in materials.trainings.values():
        events += _of_training(materials, training)
    return sorted(events, key=lambda event: str(event["eventTime"]))


def _of_program(materials: Materials, execution: Row) -> Iterator[Event]:
    """A program: the data that it made, and from which."""
    made = [
        file
        for file in materials.files.values()
        if file.known.kind == "data" and materials.maker(file.id) == execution["id"]
    ]
    sources = [source for file in made for source in materials.came_of(file.id)]
    yield from _events(
        execution, _run_id(execution["id"]), _program_name(execution),
        run=_of_process(execution), job=_code(execution),
        inputs=_datasets(materials, sources, "inputFacets"),
        outputs=_datasets(materials, (file.id for file in made), "outputFacets"),
    )  # fmt: skip


def _of_training(materials: Materials, training: Training) -> Iterator[Event]:
    """A training: from its data, and the model that it went on from, to its model."""
    trained, run = training.trained, training.trained.run
    execution = trained.execution
    data = [
        file_id
        for role in ("training_data", "validation_data")
        for file_id in training.data.get(role, ())
    ]
    settings = {
        f"{row['source']}.{row['name']}": row["value"] for row in trained.record.params(run)
    }
    facets = {
        **_of_process(run, execution),
        "parent": _facet("ParentRunFacet", "1-2-0", run={"runId": _run_id(execution["id"])},
                         job={"namespace": NAMESPACE, "name": _program_name(execution)}),
        "executionParameters": _facet(
            "ExecutionParametersRunFacet", "1-0-0",
            parameters=[
                {"key": clean(name), "name": clean(name), "value": clean(value)}
                for name, value in settings.items()
                if value is not None
            ],
        ),
        "kerasprov_metrics": {
            "_producer": PRODUCER, "_schemaURL": f"{SPEC}#/$defs/RunFacet",
            "epochs": run["epochs_finished"], "lastEpoch": _numbers(trained.last_metrics),
            "test": _numbers(trained.results),
        },
    }  # fmt: skip
    unsaved = {"namespace": NAMESPACE, "name": training.id, "facets": {
        "datasetType": _facet("DatasetTypeDatasetFacet", "1-0-1", datasetType="MODEL"),
    }}  # fmt: skip
    models = _datasets(materials, training.saved, "outputFacets") or [unsaved]
    name = f"{_program_name(execution)}.{clean(run['kind'] or 'fit')}"
    yield from _events(
        run, _run_id(run["id"]), name, run=facets, job=_code(execution, "TRAINING"),
        inputs=_datasets(materials, [*data, *training.started_from], "inputFacets"),
        outputs=models,
    )  # fmt: skip
    tested = training.data.get("test_data", ())
    for evaluation in trained.record.evaluations(run):
        metrics = {
            "_producer": PRODUCER, "_schemaURL": f"{SPEC}#/$defs/RunFacet",
            "test": _numbers(evaluation["metrics"]),
        }  # fmt: skip
        yield from _events(
            evaluation, _run_id(evaluation["id"]), f"{_program_name(execution)}.evaluate",
            run={"parent": facets["parent"], "kerasprov_metrics": metrics},
            job=_code(execution, "EVALUATION"),
            inputs=[*_datasets(materials, tested, "inputFacets"), *map(_as_input, models)],
            outputs=[],
        )  # fmt: skip


def _events(
    row: Row, run_id: str, name: str, *, run: Event, job: Event, inputs: list[Event],
    outputs: list[Event],
) -> Iterator[Event]:  # fmt: skip
    """The event when something began and, if it is known, the one when it ended."""
    shared = {"producer": PRODUCER, "schemaURL": f"{SPEC}#/$defs/RunEvent"}
    named = {"namespace": NAMESPACE, "name": name, "facets": job}
    if has_zone(row["started_at"]):
        yield {
            "eventType": "START", "eventTime": row["started_at"],
            "run": {"runId": run_id, "facets": run}, "job": named, "inputs": inputs, "outputs": [],
            **shared,
        }  # fmt: skip
    if has_zone(row["ended_at"]) and row["status"] in ENDS:
        yield {
            "eventType": ENDS[row["status"]], "eventTime": row["ended_at"],
            "run": {"runId": run_id, "facets": run}, "job": named, "inputs": inputs,
            "outputs": outputs, **shared,
        }  # fmt: skip


def timeless(materials: Materials) -> int:
    """How many trainings have no event, since it is not known when they took place."""
    runs = materials.origin.runs
    return sum(not has_zone(run["started_at"]) and not has_zone(run["ended_at"]) for run in runs)


def has_zone(text: str | None) -> bool:
    """Whether a time is known, and not only what some clock said somewhere."""
    try:
        return (
            bool(text)
            and datetime.fromisoformat(str(text).replace("Z", "+00:00")).tzinfo is not None
        )
    except ValueError:
        return False


def _of_process(row: Row, execution: Row | None = None) -> Event:
    """With what something ran, and which exception ended it."""
    process = execution or row
    facets: Event = {}
    if process["keras_version"]:
        facets["processing_engine"] = _facet(
            "ProcessingEngineRunFacet", "1-1-1", version=process["keras_version"],
            name=clean(f"{process['keras_package'] or 'keras'} on {process['backend']}"),
            openlineageAdapterVersion=__version__,
        )  # fmt: skip
    variables = mapping(process["environment"])
    if variables:
        facets["environmentVariables"] = _facet(
            "EnvironmentVariablesRunFacet", "1-0-0",
            environmentVariables=[
                {"name": clean(name), "value": clean(value)} for name, value in variables.items()
            ],
        )  # fmt: skip
    if row["exception_type"]:
        facets["errorMessage"] = _facet(
            "ErrorMessageRunFacet", "1-0-1", programmingLanguage="PYTHON",
            message=clean(f"{row['exception_type']}: {row['exception']}"),
        )  # fmt: skip
    return facets


def _code(execution: Row, kind: str = "SCRIPT") -> Event:
    """Of a job: what it is, and the commit that its code is of."""
    facets = {
        "jobType": _facet("JobTypeJobFacet", "2-0-4", processingType="BATCH",
                          integration="KERAS", jobType=kind),
    }  # fmt: skip
    remote = execution["git_remote"]
    if remote and "://" in remote and execution["git_commit"]:
        facets["sourceCodeLocation"] = _facet(
            "SourceCodeLocationJobFacet", "1-0-1", type="git", url=clean(remote),
            version=execution["git_commit"],
        )  # fmt: skip
    return facets


def _datasets(materials: Materials, ids: Iterable[str], place: str) -> list[Event]:
    """Files as datasets; `place`: where the facets of this use stand."""
    return [
        _dataset(file, place) if file else {"namespace": NAMESPACE, "name": each}
        for each in dict.fromkeys(ids)
        for file in [materials.file(each)]
    ]


def _dataset(file: File, place: str) -> Event:
    known = file.known
    kind = "FILE" if known.kind == "data" else "MODEL"
    facets = {"datasetType": _facet("DatasetTypeDatasetFacet", "1-0-1", datasetType=kind)}
    if digest(known):
        facets["version"] = _facet(
            "DatasetVersionDatasetFacet", "1-0-1", datasetVersion=f"sha256:{digest(known)}"
        )
    counted: Event = {"size": known.bytes, "fileCount": file.files or 1}
    counted = {name: value for name, value in counted.items() if value is not None}
    statistics = (
        {"inputStatistics": _facet("InputStatisticsInputDatasetFacet", "1-0-0", **counted)}
        if place == "inputFacets"
        else {"outputStatistics": _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", **counted)}
    )
    return {"namespace": "file", "name": clean(known.path), "facets": facets, place: statistics}


def _as_input(dataset: Event) -> Event:
    return {key: value for key, value in dataset.items() if key != "outputFacets"}


def _facet(name: str, version: str, /, **values: Any) -> Event:
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{FACETS}/{version}/{name}.json#/$defs/{name}",
        **values,
    }


def _numbers(metrics: Row) -> Row:
    """Metrics that JSON has numbers for."""
    return {
        clean(name): value
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _program_name(execution: Row) -> str:
    return base_name(str(execution["script"] or execution["kind"]))


def _run_id(text: str) -> str:
    """An execution's own UUID; of a run, which has none, one that is made of its id."""
    execution_id, _, name = text.partition("#")
    return str(uuid.uuid5(uuid.UUID(execution_id), name)) if name else execution_id
