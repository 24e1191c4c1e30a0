"""A bill of materials of models in CycloneDX 1.6: models with their cards, data, code, packages.

https://cyclonedx.org/docs/1.6/json/. What the record does not know is left out.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.evidence.names import JOULES_PER_KWH, base_name, clean, digest, purl
from kerasprov_agent.read.materials import File, Materials, Training
from kerasprov_agent.read.origin import Known
from kerasprov_agent.read.record import Row
from kerasprov_agent.version import __version__

Entry = dict[str, Any]


def written(materials: Materials) -> Entry:
    """The bill of what led to a model, or of all models of a database, as JSON's values."""
    trainings = list(materials.trainings.values())
    models = [_model(materials, training) for training in trainings]
    data = [_data(file) for file in materials.data()]
    saved = {file_id for training in trainings for file_id in training.saved}
    loaded = [
        _file(file.id, file.known)
        for file in materials.files.values()
        if file.known.kind != "data" and file.id not in saved
    ]
    programs = [_program(materials, row) for row in materials.origin.executions]
    packages = _packages(materials)
    whole: Entry = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": clock.stamp(),
            "tools": {"components": [
                {"type": "application", "name": "kerasprov_agent", "version": __version__}
            ]},
        },
        "dependencies": list(_dependencies(materials, trainings)),
    }  # fmt: skip
    if models:  # the last one is what was asked for; the others led to it
        whole["metadata"]["component"] = models.pop()
    whole["components"] = [*models, *loaded, *data, *programs, *packages.values()]
    return whole


def _model(materials: Materials, training: Training) -> Entry:
    run = training.trained.run
    saved = [materials.files[file_id] for file_id in training.saved]
    component: Entry = {
        "type": "machine-learning-model",
        "bom-ref": training.id,
        "name": clean(run["name"]),
        "version": clean(run["id"]),
        "modelCard": _card(materials, training),
        "properties": _properties(
            status=run["status"], model=run["model"], parameters=run["parameters"],
            layers=run["layers"], startedAt=run["started_at"], endedAt=run["ended_at"],
            host=run["host"], backend=run["backend"],
            backendVersion=training.trained.execution["backend_version"],
        ),
    }  # fmt: skip
    whole = [file for file in saved if file.known.kind == "model" and file.known.sha256]
    if len(whole) == 1:
        component["hashes"] = _hashes(whole[0].known)
    if saved:
        component["components"] = [_file(file.id, file.known) for file in saved]
    if training.started_from:
        ancestors = [_reference(materials, each) for each in training.started_from]
        component["pedigree"] = {"ancestors": ancestors}
    return component


def _card(materials: Materials, training: Training) -> Entry:
    """The model card: what it is, what it was trained and tested on, what came of it."""
    trained = training.trained
    parameters: Entry = {}
    if training.data.get("training_data") is not None or trained.run["samples"]:
        parameters["datasets"] = [
            {"ref": file_id}
            for file_id in dict.fromkeys(f for files in training.data.values() for f in files)
            if materials.file(file_id)
        ]
    if trained.task:
        parameters["task"] = trained.task[1]
    if trained.run["model"]:
        parameters["modelArchitecture"] = clean(trained.run["model"])
    inputs = [
        {"format": clean(f"{each['role']} {each['shape']} {each['dtype']}")}
        for each in trained.record.inputs(trained.run)
        if each["used_as"] == "training_data" and each["shape"]
    ]
    if inputs:
        parameters["inputs"] = inputs
    if trained.layers and trained.layers[-1]["output_shape"]:
        parameters["outputs"] = [{"format": clean(trained.layers[-1]["output_shape"])}]
    metrics = [
        {"type": clean(name), "value": clean(str(value)), "slice": part}
        for part, values in (("test", trained.results), ("last epoch", trained.last_metrics))
        for name, value in values.items()
    ]
    settings = {
        f"{row['source']}.{row['name']}": row["value"] for row in trained.record.params(trained.run)
    }
    card: Entry = {
        "bom-ref": f"{training.id}-card",
        "modelParameters": parameters,
        "properties": _properties(**settings),
    }
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    if trained.joules:
        joules, epochs = trained.joules
        card["considerations"] = {"environmentalConsiderations": {"properties": _properties(
            gpuEnergyKWh=round(joules / JOULES_PER_KWH, 9), epochsMeasured=epochs,
            epochs=len(trained.epochs),
        )}}  # fmt: skip
    return card


def _data(file: File) -> Entry:
    known = file.known
    component: Entry = {
        "type": "data",
        "bom-ref": file.id,
        "name": base_name(known.path),
        "data": [{"type": "dataset", "name": base_name(known.path)}],
        "properties": _properties(
            path=known.path, bytes=known.bytes, files=file.files or None,
            partialSha256=known.partial_sha256,
        ),
    }  # fmt: skip
    if digest(known):
        component["hashes"] = _hashes(known)
    if file.members:
        component["components"] = [_file(member.id, member.known) for member in file.members]
    return component


def _program(materials: Materials, execution: Row) -> Entry:
    """A program: its script and modules, and the commit that they are of."""
    script = execution["script"] or execution["kind"]
    component: Entry = {
        "type": "application",
        "bom-ref": f"urn:uuid:{execution['id']}",
        "name": base_name(str(script)),
        "properties": _properties(
            arguments=execution["arguments"], startedAt=execution["started_at"],
            python=execution["python"], platform=execution["platform"],
            gitCommit=execution["git_commit"], gitDirty=execution["git_dirty"],
            gitDiffSha256=execution["git_diff_sha256"],
        ),
    }  # fmt: skip
    if execution["git_commit"]:
        component["version"] = execution["git_commit"]
    if execution["git_remote"] and "://" in execution["git_remote"]:
        component["externalReferences"] = [{"type": "vcs", "url": clean(execution["git_remote"])}]
    files = [
        _file(f"{component['bom-ref']}/code-{number}", known)
        for number, known in enumerate(materials.code(execution))
    ]
    return {**component, "components": files} if files else component


def _packages(materials: Materials) -> dict[str, Entry]:
    """The packages that were installed, by their package URL."""
    return {
        purl(row["name"], row["version"]): {
            "type": "library", "bom-ref": purl(row["name"], row["version"]),
            "name": clean(row["name"]), "version": clean(row["version"]),
            "purl": purl(row["name"], row["version"]),
        }
        for execution in materials.origin.executions
        for row in materials.packages(execution)
        if row["version"]
    }  # fmt: skip


def _dependencies(materials: Materials, trainings: list[Training]) -> Iterator[Entry]:
    """What each thing was made from."""
    for training in trainings:
        data = (file_id for files in training.data.values() for file_id in files)
        program = f"urn:uuid:{training.trained.execution['id']}"
        sources = [*training.started_from, *data, program]
        yield {"ref": training.id, "dependsOn": list(dict.fromkeys(sources))}
    for execution in materials.origin.executions:
        rows = materials.packages(execution)
        names = [purl(row["name"], row["version"]) for row in rows if row["version"]]
        if names:
            yield {"ref": f"urn:uuid:{execution['id']}", "dependsOn": list(dict.fromkeys(names))}
    for file_id in materials.files:
        sources = materials.came_of(file_id)
        if sources:
            yield {"ref": file_id, "dependsOn": sources}


def _reference(materials: Materials, source: str) -> Entry:
    """A model, or a file of one, that a training went on from, told shortly."""
    if source in materials.trainings:
        run = materials.trainings[source].trained.run
        return {"type": "machine-learning-model", "name": clean(run["name"]), "version": run["id"]}
    file = materials.file(source)
    assert file is not None, source
    known = file.known
    return {key: value for key, value in _file("", known).items() if key != "bom-ref"}


def _file(reference: str, known: Known) -> Entry:
    entry: Entry = {
        "type": "file",
        "bom-ref": reference,
        "name": base_name(known.path),
        "properties": _properties(
            path=known.path, role=known.kind, bytes=known.bytes, partialSha256=known.partial_sha256
        ),
    }
    return {**entry, "hashes": _hashes(known)} if known.sha256 else entry


def _hashes(known: Known) -> list[Entry]:
    return [{"alg": "SHA-256", "content": digest(known)}]


def _properties(**values: Any) -> list[Entry]:
    return [
        {"name": clean(f"kerasprov:{name}"), "value": clean(value)}
        for name, value in values.items()
        if value is not None
    ]
