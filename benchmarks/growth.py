"""What grows with a record: metrics of an epoch, files that are read, sets of files, names, fits.

`python benchmarks/growth.py [metrics] [files] [sets] [names]` prints a line each.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import perf_counter

from kerasprov_agent.store.operations import insert, measured
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


MEASURES = {"metrics": metrics}


def main(names: list[str]) -> None:
    """Print what is measured: all of it, or what is named."""
    for name in names or MEASURES:
        with tempfile.TemporaryDirectory() as place:
            MEASURES[name](Path(place))


if __name__ == "__main__":
    main(sys.argv[1:])
