"""Kill trainings at random moments, and look at what is left of them.

    python benchmarks/kills.py [--kills 1000] [--whole 50] [--seed 0] [--write]

Each kill is a `kill -9` of a real training under the agent: a third of them at any moment between
the start of the process and a little after its usual end, the others within 20 ms after the
training has told of one of its epochs. Most are processes that are forked when Keras is imported
already, since that takes longest; `--whole` of them are whole programs. The training tells on a
pipe of each epoch that is over, with the values that it saw: Keras calls it there when what the
agent does at the end of that epoch has returned.

Twenty-five trainings after one another write one file. Then one training is left in peace, which is
what recovers; and everything that was told must be in the file, with its values, no epoch half
written, each training known as lost, the file sound and nothing beside it. `--write` keeps the
outcomes in `kills.json`, from which `docs/kills.md` is made. The exit status is 1 if anything was
lost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("kills.json")
EPOCHS = 12
OF_ONE_FILE = 25
MOMENTS = {
    "nothing": "before Keras was there",
    "ready": "before its first epoch was over",
    "epoch": "among its epochs",
    "trained": "after its last epoch",
    "ended": "not at all, it had ended",
}
"""By what it had told last: when a training was killed."""
FAULTS = (
    "epochs lost", "epochs half written", "files damaged", "runs not known as lost",
    "other files left",
)  # fmt: skip


def train(number: int, pipe: int) -> None:
    """A training that tells on a pipe of what it has behind it."""
    import keras
    import numpy as np

    import kerasprov_agent

    def tell(what: str, **more: Any) -> None:
        os.write(pipe, json.dumps({"what": what, **more}).encode() + b"\n")

    class Telling(keras.callbacks.Callback):  # type: ignore[misc]
        last: dict[str, Any] | None = None

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if self.last is not None:  # what the agent does at its end has returned
                tell("epoch", **self.last)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.last = {"epoch": epoch, **{name: float(logs[name]) for name in logs}}

    tell("ready")
    kerasprov_agent.tag(kill=number)
    keras.utils.set_random_seed(number)
    x = np.random.default_rng(number).random((64, 4))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)  # which spares the time to trace
    telling = Telling()
    model.fit(
        x, x.sum(1), batch_size=64, epochs=EPOCHS, validation_split=0.2, verbose=0,
        callbacks=[telling],
    )  # fmt: skip
    tell("epoch", **(telling.last or {}))
    tell("trained")


@dataclass
class Killed:
    """A training, and what it told before it was killed."""

    number: int
    told: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False

    @property
    def moment(self) -> str:
        """When it was killed, by what it had told last."""
        if self.ended:
            return MOMENTS["ended"]
        return MOMENTS[self.told[-1]["what"] if self.told else "nothing"]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The epochs that were over."""
        return [one for one in self.told if one["what"] == "epoch"]


def start(number: int, directory: Path, whole: bool, pipe: int) -> int:
    """Begin a training that tells on `pipe`; returns its process."""
    if whole:
        return subprocess.Popen(
            [sys.executable, "-m", "kerasprov_agent", __file__, "--child", f"{number},{pipe}"],
            cwd=directory, pass_fds=(pipe,), stderr=subprocess.DEVNULL,
        ).pid  # fmt: skip
    child = os.fork()
    if child:
        return child
    status = 1
    try:  # the child never gets out of here
        os.chdir(directory)
        train(number, pipe)
        from kerasprov_agent.capture.session import session

        session.at_exit()
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


@dataclass(frozen=True)
class Moment:
    """So many seconds after a training has told so many things; nothing: after its start."""

    told: int
    seconds: float


def run(number: int, directory: Path, whole: bool, moment: Moment | None) -> Killed:
    """One training, which is killed at a moment; never, if there is none."""
    reading, writing = os.pipe()
    process = start(number, directory, whole, writing)
    os.close(writing)
    killed, timer = Killed(number), None
    with os.fdopen(reading) as pipe:
        for count in itertools.count():
            if moment is not None and moment.told == count:
                timer = threading.Timer(moment.seconds, os.kill, (process, signal.SIGKILL))
                timer.start()
            line = pipe.readline()
            if not line.endswith("}\n"):
                break
            killed.told.append(json.loads(line))
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if timer is not None:
        timer.cancel()
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"the training ended with status {status}")
    killed.ended = status == 0
    return killed


def check(database: Path, trainings: list[Killed], outcome: Counter[str]) -> None:
    """Count what is amiss in a file that these trainings wrote one after the other."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        outcome["files damaged"] += sound != "ok"
        query = "SELECT run, json_extract(tags, '$.kill') AS kill, status FROM runs"
        runs = {row["kill"]: row for row in connection.execute(query)}
        for training in trainings:
            row = runs.get(training.number)
            if row is None:
                outcome["epochs lost"] += len(training.epochs)
                continue
            query = "SELECT * FROM epoch WHERE run = ?"
            found = {one["epoch"]: one for one in connection.execute(query, (row["run"],))}
            outcome["epochs in the files"] += len(found)
            outcome["epochs half written"] += sum(
                None in (one["loss"], one["val_loss"], one["train_seconds"])
                for one in found.values()
            )
            for epoch in training.epochs:
                one = found.get(epoch["epoch"])
                outcome["epochs lost"] += one is None or any(
                    one[name] != epoch[name] for name in ("loss", "val_loss")
                )
            # With all epochs in the file `fit` may have returned; it has when the last was told.
            known = {"lost"} if len(found) < EPOCHS else {"lost", "finished"}
            if len(training.epochs) == EPOCHS:
                known = {"finished"}
            outcome["runs not known as lost"] += row["status"] not in known
    kept = {database.name, "kerasprov-prov"}
    outcome["other files left"] += len(
        [path for path in database.parent.iterdir() if path.name not in kept]
    )


def killed(kills: int, whole: int, seed: int) -> dict[str, Any]:
    """Kill so many trainings; what became of them."""
    import keras  # noqa: F401  before the forks; the agent after them, with a database for each

    chance = random.Random(seed)
    whole_ones = set(chance.sample(range(kills), min(whole, kills)))
    outcome: Counter[str] = Counter(dict.fromkeys(FAULTS, 0))
    moments: Counter[str] = Counter()
    usual: dict[bool, float] = {}
    for first in range(0, kills, OF_ONE_FILE):
        with tempfile.TemporaryDirectory() as name:
            directory, trainings = Path(name), []
            for number in range(first, min(first + OF_ONE_FILE, kills)):
                is_whole = number in whole_ones
                if is_whole not in usual:
                    begun = time.perf_counter()
                    run(kills, directory, is_whole, None)
                    usual[is_whole] = time.perf_counter() - begun
                if chance.random() < 1 / 3:
                    moment = Moment(0, chance.uniform(0.001, usual[is_whole] * 1.05))
                else:
                    moment = Moment(chance.randint(1, EPOCHS + 1), chance.uniform(0, 0.02))
                trainings.append(run(number, directory, is_whole, moment))
            run(kills, directory, False, None)
            check(directory / "kerasprov.db", trainings, outcome)
            for training in trainings:
                moments[training.moment] += 1
                outcome["epochs told"] += len(training.epochs)
        print(f"{first + len(trainings)} killed, {outcome['epochs lost']} epochs lost",
              file=sys.stderr, flush=True)  # fmt: skip
    return {
        "kills": kills,
        "whole programs": len(whole_ones),
        "seed": seed,
        "killed": {moment: moments[moment] for moment in MOMENTS.values()},
        "epochs": {name: outcome[name] for name in ("epochs told", "epochs in the files")},
        "faults": {name: outcome[name] for name in FAULTS},
    }


def as_text(outcome: dict[str, Any]) -> str:
    """The outcome as a table."""
    lines = [f"{outcome['kills']} kills, {outcome['whole programs']} of whole programs"]
    lines += [f"killed {moment:<40}{count:>8}" for moment, count in outcome["killed"].items()]
    for part in ("epochs", "faults"):
        lines += [f"{name:<47}{count:>8}" for name, count in outcome[part].items()]
    return "\n".join(lines)


def main() -> None:
    """Kill, look, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--whole", type=int, default=50, help="so many of them are whole programs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"keep the outcome in {KEPT.name}")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        number, pipe = map(int, given.child.split(","))
        train(number, pipe)
        return
    outcome: dict[str, Any] = killed(given.kills, given.whole, given.seed)
    if given.write:
        KEPT.write_text(json.dumps(outcome, indent=1) + "\n")
    print(as_text(outcome))
    sys.exit(any(outcome["faults"].values()))


if __name__ == "__main__":
    main()
