"""What grows with a record: the metrics of an epoch, and sets of many files.

`python benchmarks/growth.py [metrics] [sets] [--small]` prints a line each. With `--small`
it measures so little that it only shows that the benchmark runs.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.record import open_record
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import insert, manifest, measured
from kerasprov_agent.store.writer import Writer


def metrics(place: Path, count: int = 2000, epochs: int = 5) -> None:
    """Milliseconds to store an epoch of many metrics; the first makes the columns."""
    writer = Writer(str(place / "metrics.db"), "e")
    row = {"id": "e#fit-1", "execution_id": "e", "kind": "fit", "label": "e"}
    writer.write([insert("execution", {"id": "e", "label": "e"}), insert("run", row)])
    times = []
    for epoch in range(epochs):
        found = {f"metric_{i}": i / 7 for i in range(count)}
        began = perf_counter()
        writer.write([measured("epoch", {"run_id": "e#fit-1", "epoch": epoch}, found)])
        times.append((perf_counter() - began) * 1000)
    writer.close()
    told = ", ".join(f"{one:.1f}" for one in times)
    print(f"{count} metrics an epoch: {told} ms")


def sets(place: Path, count: int = 1000, files: int = 1000) -> None:
    """Milliseconds to follow a chain of sets, each made of the one before, both ways."""
    path = place / "sets.db"
    writer = Writer(str(path), "e")
    writer.write([insert("execution", {"id": "e", "label": "e"})])
    for number in range(count):
        contents = [
            [f"{i:04}", 9, hashlib.sha256(f"{number} {i}".encode()).hexdigest(), None]
            for i in range(files)
        ]
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        entity_id, at = f"e#files-{number}", f"2026-01-01T00:00:00.{number:06}Z"
        file = {"entity_id": entity_id, "path": f"/{number}", "files": files, "sha256": digest}
        entity = {"id": entity_id, "execution_id": "e", "kind": "files", "seen_at": at}
        made = {"entity_id": entity_id, "activity_id": f"e#step-{number}", "at": at}
        source_id = f"e#files-{number - 1}"
        operations = [
            insert("entity", entity),
            insert("file", file),
            insert("generated", made),
            manifest(digest, contents, files),
        ]
        if number:
            operations.append(rows.derived(entity_id, source_id, None, "declared"))
        writer.write(operations)
    writer.close()
    times = []
    with open_record(str(path)) as record:
        for direction, start in (("back", count - 1), ("forward", 0)):
            began = perf_counter()
            graph = Lineage(record).as_graph([f"e#files-{start}"], direction)
            times.append((perf_counter() - began) * 1000)
            assert len(graph["nodes"]) == count
        began = perf_counter()
        known = Lineage(record).find(hashlib.sha256(b"7 7").hexdigest())
        times.append((perf_counter() - began) * 1000)
        assert known == ["e#files-7"]
    size = path.stat().st_size / 1e6
    back, forward, member = (f"{one:.0f} ms" for one in times)
    print(
        f"{count} sets of {files} files, {size:.0f} MB: back {back}, forward {forward}, "
        f"one file by its hash {member}"
    )


MEASURES = {"metrics": metrics, "sets": sets}


def main(words: list[str]) -> None:
    """Print what is measured: all of it, or what is named."""
    sizes = (10, 10) if "--small" in words else ()
    for name in [word for word in words if word in MEASURES] or MEASURES:
        with tempfile.TemporaryDirectory() as place:
            MEASURES[name](Path(place), *sizes)


if __name__ == "__main__":
    main(sys.argv[1:])
