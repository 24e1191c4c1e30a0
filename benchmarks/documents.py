"""PROV-JSON of many runs: streamed, and built by the package `prov`, side by side.

    python benchmarks/documents.py [RUNS [EPOCHS [ROUNDS]]]

Each is a process of its own, in turns; printed are the medians of seconds and of the peak of
memory, and their ratio. Then what the automatic document at the end of a program costs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import records

STREAMED = """
import resource, sys, time
from kerasprov_agent import documents
from kerasprov_agent.read.record import open_record
began = time.perf_counter()
with open_record(sys.argv[1]) as record:
    made = documents.Document(record.connection, record.parts(()))
    documents.write_to(sys.argv[2], made, "json")
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
BUILT = """
import resource, sys, time
from kerasprov_agent import documents
from kerasprov_agent.read.record import open_record
began = time.perf_counter()
with open_record(sys.argv[1]) as record:
    made = documents.Document(record.connection, record.parts(()))
    made.build().serialize(sys.argv[2], format="json")
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
AUTOMATIC = """
import sqlite3, sys, time
import kerasprov_agent, tempfile, hashlib, json, datetime
execution = sqlite3.connect(sys.argv[1]).execute("SELECT id FROM execution").fetchone()[0]
began = time.perf_counter()
from kerasprov_agent import documents
documents.write_file(sys.argv[1], execution, sys.argv[2])
print((time.perf_counter() - began) * 1000, 0)
"""


def measure(script: str, *arguments: Path) -> tuple[float, float]:
    """What a script prints: seconds and megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    first, second = map(float, done.stdout.split())
    return first, second


def main(runs: int = 1000, epochs: int = 100, rounds: int = 3) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        one, many, target = (
            records.record(directory, epochs),
            directory / "many.db",
            directory / "out",
        )
        records.multiply(one, many, runs)
        found: dict[str, list[tuple[float, float]]] = {"streamed": [], "built by prov": []}
        for _ in range(rounds):
            found["streamed"].append(measure(STREAMED, many, target))
            size = target.stat().st_size
            found["built by prov"].append(measure(BUILT, many, target))
        print(f"{runs} runs x {epochs} epochs, {size / 1e6:.0f} MB of PROV-JSON")
        medians = {}
        for name, values in found.items():
            seconds, memory = (statistics.median(one) for one in zip(*values, strict=True))
            medians[name] = seconds
            print(f"{name:>14}: {seconds:7.2f} s, {memory:6.0f} MB")
        print(f"         ratio: {medians['built by prov'] / medians['streamed']:7.1f}")
        automatic = [measure(AUTOMATIC, one, target)[0] for _ in range(5)]
        print(f"automatic document of {epochs} epochs: {statistics.median(automatic):.0f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
