"""What recording costs a training of `examples/flowers`: the same training with and without.

    python benchmarks/flowers.py [--data FOLDER] [--pairs 5] [--epochs 2]

Each pair is two processes, one after the other, in turns which goes first. The differences of a
pair are told with their median and their range: whole processes differ by more than recording
costs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOWERS = Path(__file__).parents[1] / "examples" / "flowers"


def measured(command: list[str], directory: Path) -> tuple[float, float]:
    """CPU seconds and wall seconds of a process."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=directory, env=variables, check=True, capture_output=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu, wall


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="flowers17", help="the folder of pictures")
    parser.add_argument("--size", default="64")
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    data = str(Path(given.data).absolute())
    plain, recorded = [], []
    with tempfile.TemporaryDirectory() as place:
        prepare = [sys.executable, str(FLOWERS / "prepare.py"), "--data", data]
        subprocess.run([*prepare, "--size", given.size], cwd=place, check=True)
        training = [str(FLOWERS / "alexnet.py"), "--epochs", given.epochs]
        ways = (
            (plain, [sys.executable, *training]),
            (recorded, [sys.executable, "-m", "kerasprov_agent", *training]),
        )
        for number in range(given.pairs):
            for results, command in ways if number % 2 else ways[::-1]:
                results.append(measured(command, Path(place)))
    print(
        f"AlexNet, {given.epochs} epochs, {given.pairs} pairs: seconds, median (lowest to highest)"
    )
    for number, name in enumerate(("CPU", "wall")):
        without = [pair[number] for pair in plain]
        differences = [w[number] - o[number] for w, o in zip(recorded, plain, strict=True)]
        print(
            f"{name:5} without {statistics.median(without):.2f} "
            f"({min(without):.2f} to {max(without):.2f}), recorded minus without "
            f"{statistics.median(differences):+.2f} "
            f"({min(differences):+.2f} to {max(differences):+.2f})"
        )


if __name__ == "__main__":
    main()
