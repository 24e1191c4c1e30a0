"""A bill of materials of models in SPDX 3.0.1, with the classes of its AI and Dataset profiles.

https://spdx.github.io/spdx-spec/v3.0.1/. Conformance to the AI and Dataset profiles is not claimed:
they ask for suppliers, places of download and releases, which a record does not know.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.evidence.names import JOULES_PER_KWH, base_name, clean, digest, purl
from kerasprov_agent.read.materials import File, Materials, Training
from kerasprov_agent.read.origin import Known
from kerasprov_agent.read.record import Row
from kerasprov_agent.version import __version__

Element = dict[str, Any]
CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
CREATION = "_:creation"
RELATIONS = {
    "training_data": ("trainedOn", None),
    "validation_data": ("testedOn", "validation, after the epochs"),
    "test_data": ("testedOn", None),
}


def written(materials: Materials) -> Element:
    """The bill of what led to a model, or of all models of a database, as JSON-LD."""
    document = f"urn:uuid:{uuid.uuid4()}"
    trainings = list(materials.trainings.values())
    elements = list(_elements(materials, trainings, document))
    ids = list(dict.fromkeys(element["spdxId"] for element in elements))
    roots = [trainings[-1].id] if trainings else ids[:1]
    agent = f"{document}#kerasprov_agent"
    bill = f"{document}#bill"
    return {
        "@context": CONTEXT,
        "@graph": [
            {"type": "CreationInfo", "@id": CREATION, "specVersion": "3.0.1",
             "created": _time(clock.stamp()), "createdBy": [agent]},
            {"type": "SoftwareAgent", "spdxId": agent, "creationInfo": CREATION,
             "name": f"kerasprov_agent {__version__}"},
            {"type": "SpdxDocument", "spdxId": document, "creationInfo": CREATION,
             "rootElement": [bill], "element": [bill, agent, *ids],
             "profileConformance": ["core", "software"]},
            {"type": "software_Sbom", "spdxId": bill, "creationInfo": CREATION,
             "software_sbomType": ["build"], "rootElement": roots, "element": ids},
            *elements,
        ],
    }  # fmt: skip


def _elements(materials: Materials, trainings: list[Training], document: str) -> Iterator[Element]:
    """Models, data, programs, packages, people, and how they belong together."""
    number = 0

    def relation(
        kind: str, source: str, targets: Iterable[str], comment: str | None = None
    ) -> Iterator[Element]:
        nonlocal number
        ids = list(dict.fromkeys(targets))
        if ids:
            number += 1
            yield _present({
                "type": "Relationship", "spdxId": f"{document}#relation-{number}",
                "creationInfo": CREATION, "from": source, "relationshipType": kind, "to": ids,
                "comment": comment,
            })  # fmt: skip

    stated: set[str] = set()
    for training in trainings:
        trained = training.trained
        people = list(_people(trained.execution))
        yield from (each for each in people if not _seen(stated, each))
        yield _model(training, [each["spdxId"] for each in people])
        for role, file_ids in training.data.items():
            kind, comment = RELATIONS[role]
            yield from relation(kind, training.id, file_ids, comment)
        yield from relation("descendantOf", training.id, training.started_from)
        yield from relation("contains", training.id, training.saved)
        yield from relation("generates", _urn(trained.execution), [training.id])
    for file in materials.files.values():
        if file.known.kind == "data":
            yield _data(file)
            if file.members:
                members = [_file(member.id, member.known) for member in file.members]
                yield from members
                yield from relation("contains", file.id, (each["spdxId"] for each in members))
        else:
            yield _file(file.id, file.known)
        sources = [s for s in materials.came_of(file.id) if materials.file(s)]
        yield from relation("descendantOf", file.id, sources)
    for execution in materials.origin.executions:
        program = _urn(execution)
        yield _program(program, execution)
        code = [
            _file(f"{program}/code-{i}", known) for i, known in enumerate(materials.code(execution))
        ]
        yield from code
        yield from relation("contains", program, (each["spdxId"] for each in code))
        packages = [_package(row, document) for row in materials.packages(execution)]
        yield from (each for each in packages if not _seen(stated, each))
        yield from relation("dependsOn", program, (each["spdxId"] for each in packages))


def _model(training: Training, people: list[str]) -> Element:
    """A model, as an AI package."""
    trained, run = training.trained, training.trained.run
    energy = None
    if trained.joules:
        energy = {"type": "ai_EnergyConsumption", "ai_trainingEnergyConsumption": [{
            "type": "ai_EnergyConsumptionDescription", "ai_energyUnit": "kilowattHour",
            "ai_energyQuantity": trained.joules[0] / JOULES_PER_KWH,
        }]}  # fmt: skip
    settings = {
        f"{row['source']}.{row['name']}": row["value"] for row in trained.record.params(run)
    }
    metrics = {
        f"{part} {name}": str(value)
        for part, values in (("test", trained.results), ("last epoch", trained.last_metrics))
        for name, value in values.items()
    }
    told = f"run {run['name']}, {run['status'] or 'outcome not known'}"
    return _present({
        "type": "ai_AIPackage", "spdxId": training.id, "creationInfo": CREATION,
        "name": clean(run["name"]), "software_packageVersion": clean(run["id"]),
        "software_primaryPurpose": "model", "builtTime": _time(run["ended_at"]),
        "originatedBy": people, "ai_informationAboutTraining": clean(told),
        "ai_typeOfModel": [clean(name) for name in (run["model"],) if name],
        "ai_hyperparameter": _entries(settings), "ai_metric": _entries(metrics),
        "ai_energyConsumption": energy,
        "description": clean(trained.task[0]) if trained.task else None,
    })  # fmt: skip


def _data(file: File) -> Element:
    """A file of data, or a set of them, as a dataset package."""
    known = file.known
    return _present({
        "type": "dataset_DatasetPackage", "spdxId": file.id, "creationInfo": CREATION,
        "name": clean(known.path), "software_primaryPurpose": "data",
        "dataset_datasetType": ["noAssertion"], "dataset_datasetSize": known.bytes,
        "verifiedUsing": _hashes(known),
        "comment": f"{file.files} files" if file.files else None,
    })  # fmt: skip


def _file(spdx_id: str, known: Known) -> Element:
    purpose = {"code": "source", "data": "data"}.get(known.kind, "model")
    return _present({
        "type": "software_File", "spdxId": spdx_id, "creationInfo": CREATION,
        "name": clean(known.path), "software_primaryPurpose": purpose,
        "verifiedUsing": _hashes(known),
    })  # fmt: skip


def _program(spdx_id: str, execution: Row) -> Element:
    dirty = " with changes that were not committed" if execution["git_dirty"] else ""
    commit = execution["git_commit"]
    return _present({
        "type": "software_Package", "spdxId": spdx_id, "creationInfo": CREATION,
        "name": base_name(str(execution["script"] or execution["kind"])),
        "software_primaryPurpose": "application", "software_packageVersion": commit,
        "software_sourceInfo": f"git commit {commit}{dirty}" if commit else None,
    })  # fmt: skip


def _package(row: Row, document: str) -> Element:
    """A package that was installed; one without a version, by its name."""
    url = purl(row["name"], row["version"]) if row["version"] else None
    return _present({
        "type": "software_Package", "creationInfo": CREATION, "name": clean(row["name"]),
        "spdxId": url or f"{document}#{clean(row['name'])}", "software_packageUrl": url,
        "software_packageVersion": clean(row["version"]) if url else None,
        "software_primaryPurpose": "library",
    })  # fmt: skip


def _people(execution: Row) -> Iterator[Element]:
    """Who ran the program."""
    if execution["user"]:
        orcid = execution["orcid"]
        yield _present({
            "type": "Person", "creationInfo": CREATION, "name": clean(execution["user"]),
            "spdxId": f"https://orcid.org/{orcid}" if orcid else f"{_urn(execution)}#user",
        })  # fmt: skip


def _hashes(known: Known) -> list[Element]:
    told = None if known.sha256 else "of the list of its files"
    value = digest(known)
    found = {"type": "Hash", "algorithm": "sha256", "hashValue": value, "comment": told}
    return [_present(found)] if value else []


def _entries(values: dict[str, Any]) -> list[Element]:
    return [
        {"type": "DictionaryEntry", "key": clean(key), "value": clean(value)}
        for key, value in values.items()
        if value is not None
    ]


def _seen(stated: set[str], element: Element) -> bool:
    """Whether an element was stated already; from now on it is."""
    known = element["spdxId"] in stated
    stated.add(element["spdxId"])
    return known


def _present(element: Element) -> Element:
    """An element without what is not known."""
    return {key: value for key, value in element.items() if value not in (None, [])}


def _time(text: str | None) -> str | None:
    """A time as SPDX has it: UTC, to the second; None of one whose zone is not known."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def _urn(execution: Row) -> str:
    return f"urn:uuid:{execution['id']}"
