"""What grows with a record: metrics of an epoch, sets of files, files, arrays, epochs and fits.

`python benchmarks/growth.py [metrics] [sets] [files] [arrays] [epochs] [fits] [--small]` prints a
line each. With `--small` it measures so little that it only shows that the benchmark runs.

The last four are programs that run without the agent and under it: 200,000 files that are read,
50,000 that numpy reads as arrays, 20,000 epochs of one training, 2,000 trainings. Of each is told
what a tenth of it took at the beginning and at the end, and how much more memory the process held
than the other one, for each after the first tenth.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
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


TRAINED = """
import keras, numpy as np
x = np.ones((16, 4), "float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x[:, :1], verbose=0)
"""
MADE = """
import numpy as np, pathlib
place = pathlib.Path("many")
for number in range(COUNT):
    if number % 1000 == 0:
        (place / str(number // 1000)).mkdir(parents=True)
    {made}
"""
FILES = {
    "files": MADE.replace(
        "{made}", '(place / str(number // 1000) / f"{number}.txt").write_bytes(b"x")'
    ),
    "arrays": MADE.replace(
        "{made}", 'np.random.rand(16, 16).tofile(place / str(number // 1000) / f"{number}.bin")'
    ),
}
"""What makes the files that a program reads, without the agent."""
PROGRAMS = {
    "files": TRAINED
    + """
import pathlib
place = pathlib.Path("many")
begin()
for number in range(COUNT):
    with open(place / str(number // 1000) / f"{number}.txt", "rb") as file:
        file.read()
    passed(number)
""",
    "arrays": TRAINED
    + """
import pathlib
place = pathlib.Path("many")
begin()
for number in range(COUNT):
    np.fromfile(place / str(number // 1000) / f"{number}.bin").reshape(16, 16)
    passed(number)
""",
    "epochs": TRAINED
    + """
class Passing(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        passed(epoch)
begin()
model.fit(x, x[:, :1], epochs=COUNT, verbose=0, callbacks=[Passing()])
""",
    "fits": TRAINED
    + """
begin()
for number in range(COUNT):
    model.fit(x, x[:, :1], verbose=0)
    passed(number)
""",
}
"""What is done `COUNT` times; `passed` is told of each."""
AROUND = """
import json, sys, time
def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
def begin():
    global began
    began = time.perf_counter()
def passed(number):
    for part in (0.1, 0.9):
        if number + 1 == int(COUNT * part):
            passings.append((time.perf_counter() - began, held()))
passings = []
{program}
passings.append((time.perf_counter() - began, held()))
(first, held_first), (last, _), (end, held_end) = passings
with open("grown.json", "w") as file:
    json.dump({"first": first, "last": end - last, "bytes": held_end - held_first}, file)
"""
"""Memory is told from the first tenth on: before, modules are loaded that are used but once."""


def program(place: Path, name: str, count: int) -> None:
    """What many files, epochs or trainings cost, in time and in memory."""
    grown = {}
    for recorded in (False, True):
        directory = place / f"{name}-{recorded}"
        directory.mkdir()
        if name in FILES:
            making = FILES[name].replace("COUNT", str(count))
            subprocess.run([sys.executable, "-c", making], cwd=directory, check=True)
        text = AROUND.replace("{program}", PROGRAMS[name]).replace("COUNT", str(count))
        (directory / "program.py").write_text(text)
        command = [sys.executable, *(["-m", "kerasprov_agent"] if recorded else []), "program.py"]
        variables = {k: v for k, v in os.environ.items() if not k.startswith("KERASPROV_")}
        variables.update(KERASPROV_DB=str(directory / "kerasprov.db"), TF_CPP_MIN_LOG_LEVEL="3")
        subprocess.run(command, cwd=directory, env=variables, stderr=subprocess.DEVNULL, check=True)
        grown[recorded] = json.loads((directory / "grown.json").read_text())
    plain, agent = grown[False], grown[True]
    tenth = count / 10
    each = {
        part: (plain[part] / tenth * 1000, (agent[part] - plain[part]) / tenth * 1000)
        for part in ("first", "last")
    }
    more = (agent["bytes"] - plain["bytes"]) / (0.9 * count)
    print(
        f"{count} {name}: at first {each['first'][0]:.3f} ms and {each['first'][1]:+.3f} ms each, "
        f"at last {each['last'][0]:.3f} ms and {each['last'][1]:+.3f} ms; "
        f"{more:+.0f} bytes of memory each"
    )


def files(place: Path, count: int = 200_000) -> None:
    """A program that reads many files in folders of a thousand."""
    program(place, "files", count)


def arrays(place: Path, count: int = 50_000) -> None:
    """A program that reads many files as arrays."""
    program(place, "arrays", count)


def epochs(place: Path, count: int = 20_000) -> None:
    """A training of many epochs."""
    program(place, "epochs", count)


def fits(place: Path, count: int = 2_000) -> None:
    """Many trainings in one process."""
    program(place, "fits", count)


MEASURES = {
    "metrics": metrics, "sets": sets, "files": files, "arrays": arrays, "epochs": epochs,
    "fits": fits,
}  # fmt: skip
SMALL = {
    "metrics": (10, 10), "sets": (10, 10), "files": (30,), "arrays": (30,), "epochs": (20,),
    "fits": (20,),
}  # fmt: skip


def main(words: list[str]) -> None:
    """Print what is measured: all of it, or what is named."""
    for name in [word for word in words if word in MEASURES] or MEASURES:
        with tempfile.TemporaryDirectory() as place:
            MEASURES[name](Path(place), *(SMALL[name] if "--small" in words else ()))


if __name__ == "__main__":
    main(sys.argv[1:])
