"""Run the programs without and with the agent, and print what differs or is not recorded.

    KERAS_BACKEND=jax python benchmarks/transparency/programs.py [NAME…]

Compared are stdout, exit status, the last line of stderr, and the files left, our own aside. What
each program trains stands in its first line, and the record must have it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PROGRAMS = sorted(path for path in (HERE / "programs").glob("*.py") if path.name != "common.py")
HEADER = re.compile(r"# fits (\d+), epochs (\d+), evaluations (\d+), on (.*)")


class Outcome(NamedTuple):
    """What a program did, as its user sees it."""

    status: int
    output: list[str]
    complaint: str
    files: dict[str, str]


def backend() -> str:
    """The backend that the programs will use."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def masked(text: str) -> list[str]:
    """Lines without times, and of a progress bar only its last state."""
    text = re.sub(r"[^\r\n\x08]*[\r\x08]+(\x1b\[1m)?", "", text)
    text = re.sub(r"\d+(\.\d+)?(us|ms|s|min)\b(/step|/epoch)?", "T", text)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    lines = [line.rstrip() for line in text.splitlines()]
    return [line for line in lines if line and not is_unfinished(line)]


def is_unfinished(line: str) -> bool:
    """Whether this is a bar on its way: how often it is drawn depends on the time."""
    bar = re.match(r"(?:\x1b\[1m)*\s*(\d+)/(\d+)\x1b", line)
    return bar is not None and bar[1] != bar[2]


def content(path: Path) -> str:
    """A file by its content; archives and HDF5 hold times, so of these it is only that they are."""
    if path.suffix in (".keras", ".h5") or path.parent.name == "backup":
        return "a model"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(program: Path, directory: Path, armed: bool, python: str) -> Outcome:
    """Run a program in a directory of its own."""
    shutil.copy(HERE / "programs" / "common.py", directory)
    shutil.copy(program, directory)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("KERASPROV_")}
    # Threads of the backend add up in any order, with or without us.
    variables.update(TF_ENABLE_ONEDNN_OPTS="0", OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
    variables.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", CUDA_VISIBLE_DEVICES="")
    done = subprocess.run(
        [python, *(["-m", "kerasprov_agent"] if armed else []), program.name],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
    )
    files = {
        str(path.relative_to(directory)): content(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.relative_to(directory).parts[0].startswith("kerasprov")
    }
    complaint = (done.stderr.strip().splitlines() or [""])[-1] if done.returncode else ""
    ours = [line for line in done.stderr.splitlines() if "kerasprov_agent:" in line]
    output = masked(done.stdout.replace(str(directory), "HERE"))
    return Outcome(done.returncode, output, "\n".join([*ours, complaint]), files)


def recorded(database: Path) -> tuple[int, int, int]:
    """Fits, epochs and evaluations in the record."""
    connection = sqlite3.connect(database)
    counts = tuple(
        connection.execute(query).fetchone()[0]
        for query in (
            "SELECT count(*) FROM run WHERE kind = 'fit' AND status <> 'running'",
            "SELECT count(*) FROM epoch",
            "SELECT count(*) FROM evaluation WHERE status <> 'running'",
        )
    )
    connection.close()
    return counts  # type: ignore[return-value]


def compare(program: Path, python: str) -> list[str]:
    """What differs for one program."""
    header = HEADER.match(program.read_text())
    assert header, program
    expected = tuple(map(int, header.groups()[:3]))
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        without = run(program, Path(first), False, python)
        with_agent = run(program, Path(second), True, python)
        found = []
        for name, bare, ours in zip(Outcome._fields, without, with_agent, strict=True):
            if bare != ours and name == "output":
                lines = [f"  - {a}\n  + {b}" for a, b in zip(bare, ours, strict=False) if a != b]
                lines += [f"  {len(bare)} lines without, {len(ours)} with"]
                found.append("output:\n" + "\n".join(lines[:6]))
            elif bare != ours:
                found.append(f"{name}: {bare} without, {ours} with")
        database = Path(second) / "kerasprov.db"
        counts = recorded(database) if database.exists() else (0, 0, 0)
        if counts != expected:
            found.append(f"fits, epochs, evaluations: {expected} took place, {counts} recorded")
        return found


def main() -> int:
    """Compare all that the backend can run; the exit status is 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    tried = differing = 0
    for program in PROGRAMS:
        header = HEADER.match(program.read_text())
        if options.names and program.stem not in options.names:
            continue
        if header is None or backend() not in header[4].split():
            continue
        found = compare(program, options.python)
        tried, differing = tried + 1, differing + bool(found)
        print(f"{'DIFFERS' if found else 'same'}  {program.stem}", *found, sep="\n", flush=True)
    print(f"{backend()}: {tried} programs, {differing} differ")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
