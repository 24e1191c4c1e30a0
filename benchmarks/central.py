"""Sending to a PostgreSQL: how fast a backlog goes, how late an epoch arrives, what training pays.

    python benchmarks/central.py URL [--epochs N] [--training SECONDS-PER-EPOCH] [--mlflow]

URL is an empty database, of which this makes a central store. A backlog of N epochs is sent. Then
the same training runs alone, recorded, recorded and sent, and with `--mlflow` logged by MLflow's
callback to tables in the same database: the seconds of its epochs stand beside each other, and how
late each epoch was visible in PostgreSQL by its clock. Needs the extras `tensorflow` and `central`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kerasprov_agent import identity
from kerasprov_agent.central import checking, sending, server, source
from kerasprov_agent.store.operations import insert, measured
from kerasprov_agent.store.writer import Writer

EPOCHS_OF_RUN = 100
TRAINING = """
import sys, time
import keras, numpy as np
class Timed(keras.callbacks.Callback):
    def __init__(self): super().__init__(); self.ends = []
    def on_epoch_end(self, epoch, logs=None): self.ends.append(time.perf_counter())
    def on_train_end(self, logs=None):
        steps = np.diff(self.ends[5:])
        print(f"{np.median(steps) * 1000:.3f} {steps.mean() * 1000:.3f}")
x = np.random.rand(6400, 64).astype("float32")
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256), keras.layers.Dense(1)])
model.compile("sgd", "mse", metrics=["mae"])
callbacks = [Timed()]
if len(sys.argv) > 2:
    import mlflow
    mlflow.set_tracking_uri(sys.argv[2])
    mlflow.set_experiment("benchmark")
    mlflow.start_run()
    class Log(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None): mlflow.log_metrics(logs, step=epoch)
    callbacks.append(Log())
model.fit(x, x[:, :1], epochs=int(sys.argv[1]), verbose=0, callbacks=callbacks)
"""


def backlog(folder: Path, url: str, epochs: int) -> None:
    """Send a database with so many epochs, and print how fast it went."""
    path = str(folder / "backlog.db")
    own = identity.uuid7()
    writer = Writer(path, own)
    writer.write([insert("execution", {"id": own, "label": "backlog", "status": "finished"})])
    for number in range(max(epochs // EPOCHS_OF_RUN, 1)):
        run = f"{own}#fit-{number}"
        row = {"id": run, "execution_id": own, "kind": "fit", "label": "backlog"}
        metrics = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.5)
        writer.write(
            [insert("run", row)]
            + [
                measured("epoch", {"run_id": run, "epoch": epoch, "started_at": 1.79e9}, metrics)
                for epoch in range(EPOCHS_OF_RUN)
            ]
        )
    writer.close()
    began = time.perf_counter()
    source.prepare(path)
    sent = sending.send_all(path, url)
    took = time.perf_counter() - began
    print(
        f"backlog: {sent.epochs} epochs in {took:.1f} s, {sent.epochs / took:.0f} epochs a second"
    )
    assert not checking.differences(path, url)


def noting(folder: Path) -> None:
    """Print what an epoch takes to be stored, without and with the log of what changes."""
    for name in ("without", "with"):
        path, own = str(folder / f"{name}.db"), identity.uuid7()
        writer = Writer(path, own)
        run = {"id": f"{own}#fit-1", "execution_id": own, "kind": "fit", "label": "noting"}
        writer.write([insert("execution", {"id": own, "label": "noting"}), insert("run", run)])
        if name == "with":
            source.prepare(path)
        took = []
        for epoch in range(3000):
            row = {"run_id": run["id"], "epoch": epoch, "started_at": 1.79e9}
            began = time.perf_counter()
            writer.write([measured("epoch", row, {"loss": 0.5, "val_loss": 0.5})])
            took.append(time.perf_counter() - began)
        writer.close()
        print(f"an epoch is stored in {statistics.median(took) * 1e6:.0f} µs {name} the log")


def training(folder: Path, name: str, epochs: int, *words: str, **variables: str) -> None:
    """Run the training and print the time of its epochs."""
    place = folder / name.replace(" ", "-")
    place.mkdir()
    (place / "train.py").write_text(TRAINING)
    door = ["-m", "kerasprov_agent"] if name.startswith("recorded") else []
    done = subprocess.run(
        [sys.executable, *door, "train.py", str(epochs), *words],
        cwd=place, capture_output=True, text=True, check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERASPROV_PROV": "off", **variables},
    )  # fmt: skip
    median, mean = done.stdout.split()[-2:]
    print(f"{name:>20}: an epoch takes {median} ms in the median, {mean} ms in the mean")


def delays(url: str) -> None:
    """Print how late epochs were visible, by the server's clock."""
    query = (
        "SELECT extract(epoch FROM p._at)::float8 - p.started_at - p.train_seconds "
        "- coalesce(p.callback_seconds, 0) FROM kerasprov.epoch p JOIN kerasprov.run r "
        "ON r.id = p.run_id WHERE r.label = 'train'"
    )
    with server.connected(url) as connection:
        late = sorted(row[0] for row in connection.execute(query))
    print(
        f"an epoch is visible {statistics.median(late) * 1000:.0f} ms after its end in the median, "
        f"{late[len(late) * 95 // 100] * 1000:.0f} ms for 95 of 100 ({len(late)} epochs)"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--epochs", type=int, default=200_000)
    parser.add_argument("--training", type=int, default=300, help="epochs of the training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mlflow", action="store_true")
    given = parser.parse_args()
    server.initialize(given.url)
    with tempfile.TemporaryDirectory() as folder:
        noting(Path(folder))
        backlog(Path(folder), given.url, given.epochs)
        for number in range(given.rounds):
            place = Path(folder) / str(number)
            place.mkdir()
            training(place, "alone", given.training)
            training(place, "recorded", given.training)
            training(place, "recorded and sent", given.training, KERASPROV_CENTRAL=given.url)
            if given.mlflow:
                address = given.url.replace("postgresql://", "postgresql+psycopg://")
                training(place, "logged by MLflow", given.training, address)
        delays(given.url)


if __name__ == "__main__":
    main()
