"""How long questions take on 10,000 runs, beside the same questions to MLflow's store.

python benchmarks/questions.py [RUNS [EPOCHS [FOLDER]]]

A real record of one training with six metrics an epoch is copied under new ids, with other settings
and values (`records.py`); MLflow's tables, which MLflow itself makes, get the same runs. Each
question is asked from opening the file on; the median of several, interleaved. MLflow answers by
its client where that can ask, else by SQL on its tables. In FOLDER the files are kept.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import records

from kerasprov_agent.read.questions import compile_question
from kerasprov_agent.read.record import open_record
from kerasprov_agent.read.selection import best

METRICS = ("loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc")
ACTIVATIONS = ("relu", "elu", "selu", "tanh")
OPTIMIZERS = ("Adam", "SGD", "RMSprop")
ROUNDS = 5


def ours(folder: Path, runs: int, epochs: int) -> Path:
    """Our database: a real record, many times, with values of its own in each."""
    target = folder / "kerasprov-many.db"
    if target.exists():
        return target
    records.multiply(records.record(folder, epochs), target, runs)
    with closing(sqlite3.connect(target)) as connection, connection:
        (own,) = connection.execute("SELECT id FROM architecture LIMIT 1").fetchone()
        columns = [row[1] for row in connection.execute("PRAGMA table_info(architecture)")]
        for place, activation in enumerate(ACTIVATIONS):
            told = ", ".join(
                f"'{activation}'" if c == "activation" else f"'{place}'" if c == "id" else f'"{c}"'
                for c in columns
            )
            query = f"INSERT INTO architecture SELECT {told} FROM architecture WHERE id = ?"
            connection.execute(query, (own,))
        connection.execute("UPDATE run SET architecture_id = CAST(number % 4 AS TEXT)")
        names = " ".join(f"WHEN {place} THEN '{name}'" for place, name in enumerate(OPTIMIZERS))
        connection.execute(f"UPDATE run SET optimizer = CASE number % 3 {names} END")
        noise = "abs(random() % 1000000) / 2000000.0"
        changed = ", ".join(f"{name} = {name} + {noise}" for name in METRICS)
        connection.execute(f"UPDATE epoch SET {changed}")
    return target


def mlflows(folder: Path, source: Path) -> Path:
    """MLflow's database with the same runs: made by MLflow, filled by SQL."""
    from mlflow.tracking import MlflowClient

    target = folder / "mlflow-many.db"
    if target.exists():
        return target
    MlflowClient(f"sqlite:///{target}").create_experiment("many")
    with closing(sqlite3.connect(target)) as connection, connection:
        (experiment,) = connection.execute(
            "SELECT experiment_id FROM experiments WHERE name = 'many'"
        ).fetchone()
        connection.execute("ATTACH ? AS k", (str(source),))
        connection.execute(
            "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, "
            "lifecycle_stage, artifact_uri, experiment_id) SELECT printf('%032d', run), name, "
            "'LOCAL', user, 'FINISHED', unixepoch(started_at) * 1000, unixepoch(ended_at) * 1000, "
            "'active', '', ? FROM k.runs",
            (experiment,),
        )
        for name in ("optimizer", "learning_rate", "batch_size", "epochs", "activation"):
            connection.execute(
                f"INSERT INTO params (key, value, run_uuid) SELECT '{name}', {name}, "
                "printf('%032d', run) FROM k.runs"
            )
        for name in METRICS:
            connection.execute(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                f"SELECT '{name}', {name}, CAST(started_at * 1000 AS INTEGER), "
                "printf('%032d', run), epoch, 0 FROM k.epoch"
            )
        connection.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
            "SELECT key, value, timestamp, max(step), 0, run_uuid FROM metrics "
            "GROUP BY run_uuid, key"
        )
    return target


Question = tuple[str, Callable[[], Any], Callable[[], Any]]


def questions(own: Path, other: Path, runs: int) -> list[Question]:
    """Each question with the two ways to ask it."""
    from mlflow.tracking import MlflowClient

    middle = runs // 2

    def asked(answer: Callable[[Any], Any]) -> Callable[[], Any]:
        def ask() -> Any:
            with open_record(str(own)) as record:
                return answer(record)

        return ask

    def mlflow(answer: Callable[[Any, str], Any]) -> Callable[[], Any]:
        def ask() -> Any:
            client = MlflowClient(f"sqlite:///{other}")
            return answer(client, client.get_experiment_by_name("many").experiment_id)

        return ask

    def sql(query: str) -> Callable[[], Any]:
        def ask() -> Any:
            with closing(sqlite3.connect(other)) as connection:
                return connection.execute(query).fetchall()

        return ask

    def everything(record: Any) -> Any:
        run = record.find(str(middle))
        parts = (record.epochs, record.params, record.layers, record.evaluations, record.changes,
                 record.inputs, record.files, record.activities, record.execution)  # fmt: skip
        return [part(run) for part in parts]

    def history(client: Any, _: str) -> Any:
        return [client.get_metric_history(f"{middle:032d}", name) for name in METRICS]

    condition = "val_loss < 0.9 and optimizer = 'Adam'"
    theirs = "metrics.val_loss < 0.9 and params.optimizer = 'Adam'"
    mean = "runs.optimizer, avg(epochs.seconds)"
    return [
        ("open", asked(lambda r: r), mlflow(lambda c, e: e)),
        ("the last 20 runs", asked(lambda r: r.runs(20)),
         mlflow(lambda c, e: c.search_runs([e], max_results=20))),
        ("20 runs for which a condition holds", asked(lambda r: r.runs(20, where=condition)),
         mlflow(lambda c, e: c.search_runs([e], theirs, max_results=20))),
        ("the epochs of a run", asked(lambda r: r.epochs(r.find(str(middle)))), mlflow(history)),
        ("all of a run", asked(everything),
         mlflow(lambda c, e: (c.get_run(f"{middle:032d}"), history(c, e)))),
        ("the best of each activation", asked(lambda r: best(r, "val_loss", ["activation"])),
         sql("SELECT p.value, min(m.value), m.run_uuid FROM metrics m JOIN params p ON p.run_uuid "
             "= m.run_uuid AND p.key = 'activation' WHERE m.key = 'val_loss' GROUP BY p.value")),
        ("mean epoch time by optimizer",
         asked(lambda r: list(r.query(*compile_question(mean, r.connection).sql))),
         sql("SELECT value, avg(span) FROM (SELECT p.value, (max(timestamp) - min(timestamp)) / "
             "1000.0 / max(step) AS span FROM metrics m JOIN params p ON p.run_uuid = m.run_uuid "
             "AND p.key = 'optimizer' WHERE m.key = 'loss' GROUP BY m.run_uuid) GROUP BY value")),
    ]  # fmt: skip


def main(runs: int = 10_000, epochs: int = 100, folder: str | None = None) -> None:
    """Print a line a question: milliseconds here, at MLflow, and their ratio."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        place.mkdir(exist_ok=True)
        own = ours(place, runs, epochs)
        other = mlflows(place, own)
        sizes = [path.stat().st_size / 1e6 for path in (own, other)]
        told = " and ".join(f"{size:.0f} MB" for size in sizes)
        print(f"{runs} runs of {epochs} epochs with {len(METRICS)} metrics; files of {told}")
        print(f"{'median of ' + str(ROUNDS) + ', ms':38} {'kerasprov':>10} {'MLflow':>10} ratio")
        for name, here, there in questions(own, other, runs):
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(ROUNDS):
                for found, ask in zip(times, (here, there), strict=True):
                    began = perf_counter()
                    ask()
                    found.append((perf_counter() - began) * 1000)
            a, b = map(statistics.median, times)
            print(f"{name:38} {a:10.1f} {b:10.1f} {b / a:5.1f}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:3]]
    main(*numbers, *sys.argv[3:4])
