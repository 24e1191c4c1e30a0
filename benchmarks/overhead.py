"""What the agent costs: the same training plain, with Keras' CSVLogger, and under the agent.

    python benchmarks/overhead.py [--pairs 7] [--epochs 50] [--json]
    python benchmarks/overhead.py --parts [--against benchmarks/figures.json]

Each variant is a process of its own; they take turns. Of the differences to the plain training in
the same round the median is told, with the interval in which it lies in 95 of 100 cases.

The last section, and `--parts` alone, is the agent's own time, taken where it is called from, in a
process that trains three times. It stands beside what a fixed piece of Python took there (the
unit), since machines differ, and beside what Keras' `CSVLogger` takes at the end of an epoch.
`--against` compares it, in units, with figures that were kept; the exit status is 1 if a part
takes more than 1.6 times as much in each of three processes (`--tries`). `--write` keeps them.
`KERAS_BACKEND` chooses the backend.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

VARIANTS = ("plain", "CSVLogger", "agent")
KEPT = Path(__file__).with_name("figures.json")
MUCH = 1.6
PER_FIT = (
    "training.before_compile", "training.after_compile", "training.before_fit",
    "epochs.before_train", "training.after_feed", "training.after_fit", "optimizers.before",
    "optimizers.after",
)  # fmt: skip


def train(variant: str, epochs: int) -> None:
    """An MLP of two hidden layers of 64 on 1,536 samples of 64 numbers: epochs of some 10 ms."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    x = generator.random((1536, 64), dtype="float32")
    y = (x.sum(1) * 4).astype("int32") % 10
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [keras.callbacks.CSVLogger("log.csv")] if variant == "CSVLogger" else []
    model.fit(
        x, y, batch_size=128, epochs=epochs, validation_split=0.1, verbose=0, callbacks=callbacks
    )
    model.evaluate(x[:512], y[:512], verbose=0)


def own_time(epochs: int) -> None:
    """Train under the agent and print, as JSON, the CPU seconds spent in each part of it.

    Twice plainly, once more with `CSVLogger`, whose own time is taken as well; then files are
    opened, one of 10 MB is hashed, and single batches are trained.
    """
    event = _audit_event()
    begun = time.process_time()
    import kerasprov_agent

    armed = time.process_time() - begun
    event = _audit_event() - event
    from kerasprov_agent import guard
    from kerasprov_agent.capture.files import hashing
    from kerasprov_agent.capture.files.watching import Watch
    from kerasprov_agent.store.writer import Writer

    trainings: list[dict[str, list[float]]] = [{}]

    def note(name: str, start: float) -> None:
        trainings[-1].setdefault(name, []).append(time.thread_time() - start)

    inner = guard.call

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return inner(function, *args, **kwargs)
        finally:
            note(f"{function.__module__.rpartition('.')[2]}.{function.__name__}", start)

    guard.call = call  # type: ignore[assignment]

    def checkpoint(writer: Writer) -> bool:
        start = time.thread_time()
        try:
            return brings_log_into_file(writer)
        finally:
            note("checkpoint", start)

    brings_log_into_file = Writer.checkpoint
    Writer.checkpoint = checkpoint  # type: ignore[method-assign]

    def opened(watch: Watch, *args: Any) -> None:
        start = time.thread_time()
        notes_opening(watch, *args)
        note("opened", start)

    def hashed(path: str, *args: Any) -> Any:
        start = time.thread_time()
        try:
            return hashes_file(path, *args)
        finally:
            if path.endswith("large"):
                note("hashed", start)

    notes_opening, hashes_file = Watch._opened, hashing.of_file
    unit = min(_unit() for _ in range(5))
    train("agent", epochs)
    trainings.append({})
    train("agent", epochs)
    trainings.append({})
    _time_csv_logger(note)
    train("CSVLogger", epochs)
    Watch._opened, hashing.of_file = opened, hashed  # type: ignore[method-assign]
    trainings.append({})
    _read_files_and_train_batches()
    start = time.perf_counter(), time.process_time()
    from kerasprov_agent.capture.session import session

    session.at_exit()
    ended = time.perf_counter() - start[0], time.process_time() - start[1]
    print(json.dumps({
        "unit": unit, "armed": armed, "event": event, "trainings": trainings, "ended": ended,
    }))  # fmt: skip
    kerasprov_agent.stop()


def _time_csv_logger(note: Callable[[str, float], None]) -> None:
    """Take the time of `CSVLogger.on_epoch_end` from now on."""
    import keras

    inner = keras.callbacks.CSVLogger.on_epoch_end

    def on_epoch_end(self: Any, epoch: int, logs: Any = None) -> None:
        start = time.thread_time()
        inner(self, epoch, logs)
        note("CSVLogger", start)

    keras.callbacks.CSVLogger.on_epoch_end = on_epoch_end


def _read_files_and_train_batches() -> None:
    """Open 300 files to read them, one of 10 MB among them; train 300 batches one by one."""
    import keras
    import numpy as np

    for number in range(300):
        path = Path(f"data-{number}-large" if number == 150 else f"data-{number}")
        path.write_bytes(bytes(10_000_000 if number == 150 else 100))
    for path in sorted(Path().glob("data-*")):
        with path.open("rb"):
            pass
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for _ in range(300):
        model.train_on_batch(np.ones((8, 4)), np.ones((8, 1)))


def _audit_event() -> float:
    """CPU seconds that something takes of which Python tells audit hooks, if it has any."""
    best = 1.0
    for _ in range(5):
        start = time.thread_time()
        for _ in range(20_000):
            id(None)
        best = min(best, (time.thread_time() - start) / 20_000)
    return best


def _unit() -> float:
    """CPU seconds that a fixed piece of Python takes."""
    start = time.thread_time()
    text = json.dumps([{"number": number, "text": str(number)} for number in range(5000)])
    sum(len(one["text"]) for one in json.loads(text))
    return time.thread_time() - start


def run(variant: str, epochs: int, directory: Path) -> dict[str, float]:
    """One process: CPU seconds (user and system), wall seconds, peak memory in MB."""
    own = ["-m", "kerasprov_agent"] if variant == "agent" else []
    environ = {k: v for k, v in os.environ.items() if not k.startswith("KERASPROV_")}
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *own, __file__, "--child", variant, "--epochs", str(epochs)],
        cwd=directory,
        env=environ,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        raise SystemExit(f"the {variant} training ended with status {status}")
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.perf_counter() - start,
        "memory": usage.ru_maxrss / 1024,
    }


def measure_own_time(epochs: int, directory: Path) -> dict[str, float]:
    """The agent's own CPU time in milliseconds, from one process that trains three times."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", "own", "--epochs", str(epochs)],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    first, second, third, small = found["trainings"]
    per_epoch = [
        median(second[name])
        for name in (
            "epochs.before_epoch", "epochs.after_begin", "epochs.before_end", "epochs.after_epoch",
        )
        if name in second
    ]  # fmt: skip
    # The validation of each epoch, not the evaluation after the training.
    validations = sorted(second.get("evaluating.before_evaluate", []))[:epochs]

    def fit(spent: dict[str, list[float]]) -> float:
        return sum(sum(spent.get(name, ())) for name in PER_FIT)

    seconds = {
        "(unit)": found["unit"],
        "arming": found["armed"],
        "hooking Keras": sum(first["kerasprov_agent._instrument"]),
        "first fit": fit(first),
        "second fit": fit(second),
        "an epoch": sum(per_epoch) + (median(validations) if validations else 0),
        "an idle hook": median(sorted(second["evaluating.after_evaluate"])[:epochs]),
        "CSVLogger's epoch": median(third["CSVLogger"]),
        "train_on_batch": sum(median(small[name]) for name in ("batches.before", "batches.after")),
        "an audit event": found["event"],
        "a file opened": median(small["opened"]),
        "10 MB hashed": small["hashed"][0],
        "log into file": median(
            [value for spent in found["trainings"] for value in spent.get("checkpoint", ())]
        ),
        "the end": found["ended"][1],
        "the end, wall": found["ended"][0],
    }
    return {name: value * 1000 for name, value in seconds.items()}


def in_units(own: dict[str, float]) -> dict[str, float]:
    """Milliseconds as multiples of what the fixed piece of Python took."""
    return {name: value / own["(unit)"] for name, value in own.items() if name != "(unit)"}


def compared(epochs: int, kept: dict[str, float], tries: int) -> bool:
    """Print the agent's own time beside figures that were kept; whether none has grown much."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    wanted = in_units(kept)
    least: dict[str, float] = {}
    for _ in range(tries):
        with tempfile.TemporaryDirectory() as name:
            own = in_units(measure_own_time(epochs, Path(name)))
        least = {name: min(value, least.get(name, value)) for name, value in own.items()}
        grown = [name for name, value in least.items() if value > MUCH * wanted[name]]
        if not grown:
            break
    print(f"the agent's own CPU time in thousandths of a unit, {backend}, and as it was kept")
    for name, value in least.items():
        told = "  MORE" if name in grown else ""
        print(f"{name:<18}{value * 1000:>12.3f}{wanted[name] * 1000:>12.3f}{told}")
    return not grown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7, help="rounds in which all take turns")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--parts", action="store_true", help="only the agent's own time")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare it with FILE")
    parser.add_argument("--tries", type=int, default=3, help="processes until it is more")
    parser.add_argument("--write", action="store_true", help=f"keep it in {KEPT.name}")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child == "own":
        own_time(given.epochs)
    elif given.child:
        train(given.child, given.epochs)
    elif given.against:
        kept = json.loads(given.against.read_text())[os.environ.get("KERAS_BACKEND", "tensorflow")]
        sys.exit(not compared(given.epochs, kept["own CPU milliseconds"], given.tries))
    else:
        report(0 if given.parts else given.pairs, given.epochs, given.json, given.write)


def interval(values: list[float]) -> tuple[float, float, float]:
    """The median of some values, and between what it lies in 95 of 100 samples of them."""
    chance = random.Random(0)
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(2000))
    return median(values), medians[50], medians[-51]


def report(pairs: int, epochs: int, as_json: bool, keep: bool) -> None:
    """Run the rounds and print medians, and differences to the plain training of the same round."""
    rounds: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run("agent", 1, directory)  # warm the disk cache; make the database
        for number in range(pairs):
            turn = number % len(VARIANTS)
            for variant in (*VARIANTS[turn:], *VARIANTS[:turn]):
                rounds[variant].append(run(variant, epochs, directory))
        own = measure_own_time(epochs, directory)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    figures: dict[str, Any] = {"epochs": epochs, "rounds": pairs, "own CPU milliseconds": own}
    if pairs:
        figures["whole process"] = {
            variant: {
                key: {
                    "median": median(one[key] for one in rounds[variant]),
                    "more": interval([
                        one[key] - plain[key]
                        for one, plain in zip(rounds[variant], rounds["plain"], strict=True)
                    ]),
                }
                for key in ("cpu", "wall", "memory")
            }
            for variant in VARIANTS
        }  # fmt: skip
    if keep:
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        KEPT.write_text(json.dumps({**kept, backend: figures}, indent=1) + "\n")
    print(json.dumps(figures, indent=2) if as_json else as_text(backend, figures))


def as_text(backend: str, figures: dict[str, Any]) -> str:
    """The figures as tables."""
    lines = []
    if "whole process" in figures:
        lines.append(
            f"{figures['epochs']} epochs of an MLP, {backend}, {figures['rounds']} rounds: median; "
            "more than plain (95 % interval)"
        )
        lines.append(f"{'':<10}{'CPU s':<30}{'wall s':<30}{'peak MB':<30}".rstrip())
        for variant, values in figures["whole process"].items():
            cells = []
            for value in values.values():
                more, low, high = value["more"]
                told = "" if variant == "plain" else f" {more:+.2f} ({low:+.2f} to {high:+.2f})"
                cells.append(f"{value['median']:>7.2f}{told:<23}")
            lines.append(f"{variant:<10}{''.join(cells)}".rstrip())
        lines.append("")
    lines.append(f"{'the agent, own CPU time, ' + backend:<36}{'ms':>9}{'units':>10}")
    own = figures["own CPU milliseconds"]
    for part, milliseconds in own.items():
        units = "" if part == "(unit)" else f"{milliseconds / own['(unit)']:>10.5f}"
        lines.append(f"{part:<36}{milliseconds:>9.4f}{units}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
