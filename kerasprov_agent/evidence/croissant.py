"""The data that led to a model, as a card of Croissant 1.1 (https://docs.mlcommons.org/croissant/).

Every file by its sha256. Croissant takes no file without one: such files are told by their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.evidence.names import base_name, clean, file_uri
from kerasprov_agent.read.materials import File, Materials
from kerasprov_agent.read.origin import Known

Entry = dict[str, Any]
PROFILE = "http://mlcommons.org/croissant/1.1"
LICENSE = "https://choosealicense.com/no-permission/"
"""As in RO-Crates: nothing is said of who may use the data."""
CONTEXT: Entry = {
    "@language": "en", "@vocab": "https://schema.org/", "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "excludes": "cr:excludes",
    "extract": "cr:extract", "field": "cr:field", "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isArray": "cr:isArray", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField",
    "path": "cr:path", "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
"""The context that Croissant asks for, with PROV's terms."""
ENCODINGS = {
    ".csv": "text/csv", ".gz": "application/gzip", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
    ".json": "application/json", ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png", ".tar": "application/x-tar", ".tsv": "text/tab-separated-values",
    ".txt": "text/plain", ".wav": "audio/wav", ".zip": "application/zip",
}  # fmt: skip


def written(materials: Materials) -> Entry:
    """The card of all data that led to a model, or to all models of a database, as JSON-LD."""
    trainings = list(materials.trainings.values())
    files = materials.data()
    name = clean(trainings[-1].trained.run["name"]) if len(trainings) == 1 else "trainings"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": PROFILE,
        "name": f"Data of {name}",
        "description": _description(materials, files),
        "license": LICENSE,
        "url": f"urn:uuid:{materials.origin.executions[-1]['id']}",
        "dateCreated": clock.stamp(),
        "distribution": [entry for file in files for entry in _of_file(materials, file)],
    }


def _description(materials: Materials, files: Sequence[File]) -> str:
    """What each file was, as far as it is recorded."""
    lines = ["The data that Keras trainings came of, as kerasprov_agent recorded them."]
    for file in files:
        use = materials.told_use(file.id) or "made into other data, or used in part"
        count = f" ({file.files} files)" if file.files else ""
        lines.append(f"{clean(file.known.path)}{count}: {clean(use)}.")
    lines.append("Who may use them is not recorded.")
    return "\n".join(lines)


def _of_file(materials: Materials, file: File) -> Iterator[Entry]:
    """A file, or the files of a set, and what they were made from."""
    told = _told(materials, file)
    if not file.files:
        yield {**_object(file.id, file.known), **told}
        return
    digest = file.known.set_sha256
    whole = f"{file.files} files; the sha256 of their list is {digest}"
    described = ". ".join((*filter(None, [told.pop("description", None)]), whole))
    yield {
        "@type": "cr:FileSet", "@id": file.id, "name": base_name(file.known.path),
        "description": described, "includes": _patterns(file),
        "encodingFormat": _encoding_of_all(file), **told,
    }  # fmt: skip
    for member in file.members:
        yield {**_object(member.id, member.known), **_told(materials, member)}


def _told(materials: Materials, file: File) -> Entry:
    """What a file was used for, and what it was made from."""
    told: Entry = {}
    use = materials.told_use(file.id)
    if use:
        told["description"] = clean(use)
    sources = [source for source in materials.came_of(file.id) if materials.file(source)]
    if sources:
        told["prov:wasDerivedFrom"] = [{"@id": source} for source in sources]
    return told


def _object(entry_id: str, known: Known) -> Entry:
    """A file with its hash; without one a set of the files of that name."""
    entry: Entry = {
        "@type": "cr:FileObject", "@id": entry_id, "name": base_name(known.path),
        "contentUrl": file_uri(known.path), "encodingFormat": _encoding(known.path),
    }  # fmt: skip
    if known.sha256 is None:
        named = {"@type": "cr:FileSet", "includes": clean(known.path)}
        return {key: value for key, value in (entry | named).items() if key != "contentUrl"}
    if known.bytes is not None:
        entry["contentSize"] = f"{known.bytes} B"
    return {**entry, "sha256": known.sha256}


def _patterns(file: File) -> list[str]:
    """The names of a set's files, by their endings."""
    endings = dict.fromkeys(PurePath(member.known.path).suffix for member in file.members)
    folder = clean(file.known.path)
    return [f"{folder}/**/*{clean(ending)}" for ending in endings or ("",)]


def _encoding_of_all(file: File) -> str:
    return _encoding(file.members[0].known.path if file.members else "")


def _encoding(path: str) -> str:
    return ENCODINGS.get(PurePath(path).suffix.lower(), "application/octet-stream")
