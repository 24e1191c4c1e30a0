"""How fast the pages are with 10,000 runs of 100 epochs and six metrics, beside MLflow's server.

    python benchmarks/viewer.py [RUNS [EPOCHS]] [--mlflow PYTHON]

The databases are those of `questions.py`: a real record, copied under new ids, and MLflow's tables
with the same runs. Times are those of a request to the running server, the median of several; sizes
are those of the answers. PYTHON is an interpreter that has MLflow with its server; without it
MLflow is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import questions

REPEATS = 5
COMMAND = [sys.executable, "-c", "from kerasprov_agent.cli import main; main()"]


def measured(name: str, ask: Callable[[], bytes]) -> None:
    """Print the median of the seconds that an answer takes, and its size."""
    times, size = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        size = len(ask())
        times.append(time.perf_counter() - began)
    print(f"{name:>34}: {statistics.median(times) * 1000:7.0f} ms, {size / 1000:7.0f} kB")


def fetched(address: str, body: Any = None) -> bytes:
    """What an address answers; `body` is sent as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        content: bytes = answer.read()
    return content


@contextmanager
def ours(database: Path) -> Iterator[str]:
    """The address of `kerasprov view`."""
    began = time.perf_counter()
    words = ["view", "--db", str(database), "--no-open", "--port", "0"]
    server = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        fetched(found[0])
        print(f"{'first page after the command':>34}: {time.perf_counter() - began:7.2f} s")
        yield found[0]
    finally:
        server.terminate()
        server.wait()


@contextmanager
def mlflows(python: str, database: Path) -> Iterator[str]:
    """The address of MLflow's server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    words = ["--backend-store-uri", f"sqlite:///{database}", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(
        [python, "-m", "mlflow", "server", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}/"
    try:
        while server.poll() is None and time.perf_counter() - began < 120:
            try:
                fetched(address)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        print(f"{'first page after the command':>34}: {time.perf_counter() - began:7.2f} s")
        yield address
    finally:
        server.terminate()
        server.wait()


def main(runs: int, epochs: int, python: str | None) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        database = questions.ours(Path(place), runs, epochs)
        print(f"{runs} runs x {epochs} epochs, {database.stat().st_size / 1e6:.0f} MB")
        chosen = min(50, runs)
        with ours(database) as address:
            for name, query in {
                "table of runs": "runs",
                "filtered and sorted": "runs?where=optimizer+%3D+'Adam'&sort=-val_loss",
                f"curves of runs 1-{chosen}": f"curves?runs=1-{chosen}&metrics=loss|accuracy",
                "what is new (live)": "live?runs=1-10&after=" + ",".join(["98"] * min(10, runs)),
                "means of groups": "groups?by=optimizer&metrics=loss",
                "lineage": "lineage",
                "a run": "run?run=1",
                "what can be asked": "entities",
            }.items():
                measured(name, lambda query=query: fetched(f"{address}api/{query}"))  # type: ignore[misc]
        if python is None:
            print("MLflow was not asked: name an interpreter that has it with --mlflow")
            return
        other = questions.mlflows(Path(place), database)
        print("MLflow's server, the same runs")
        with mlflows(python, other) as address:
            api = f"{address}api/2.0/mlflow"
            found = json.loads(fetched(f"{api}/experiments/get-by-name?experiment_name=many"))
            search = {
                "experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 200,
            }  # fmt: skip
            measured("table of runs", lambda: fetched(f"{api}/runs/search", search))
            narrowed = {
                **search, "filter": "params.optimizer = 'Adam'",
                "order_by": ["metrics.val_loss DESC"],
            }  # fmt: skip
            measured("filtered and sorted", lambda: fetched(f"{api}/runs/search", narrowed))

            def histories() -> bytes:
                return b"".join(
                    fetched(f"{api}/metrics/get-history?run_id={run:032d}&metric_key={key}")
                    for run in range(1, chosen + 1)
                    for key in ("loss", "val_loss", "accuracy", "val_accuracy")
                )

            measured(f"curves of runs 1-{chosen}", histories)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, nargs="?", default=10_000)
    parser.add_argument("epochs", type=int, nargs="?", default=100)
    parser.add_argument("--mlflow", metavar="PYTHON")
    options = parser.parse_args()
    main(options.runs, options.epochs, options.mlflow)
