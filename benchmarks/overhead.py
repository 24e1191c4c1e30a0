"""What the agent costs: the same training plain, with Keras' CSVLogger, and under the agent.

    python benchmarks/overhead.py [--pairs 7] [--epochs 50] [--json]

Each variant is a process of its own; they take turns, and medians of the rounds are compared.
The last section is the agent's own time, taken where it is called from, in a further process; its
first line is what a fixed piece of Python took there, since machines differ.
`KERAS_BACKEND` chooses the backend.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

VARIANTS = ("plain", "CSVLogger", "agent")


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
    """Train twice under the agent and print, as JSON, the CPU seconds spent in each part of it."""
    begun = time.perf_counter(), time.process_time()
    import kerasprov_agent

    armed = time.process_time() - begun[1]
    from kerasprov_agent import guard
    from kerasprov_agent.store.writer import Writer

    spent: dict[str, list[float]] = {}
    inner = guard.call

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return inner(function, *args, **kwargs)
        finally:
            name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
            spent.setdefault(name, []).append(time.thread_time() - start)

    guard.call = call  # type: ignore[assignment]

    def checkpoint(writer: Writer) -> bool:
        start = time.thread_time()
        try:
            return brings_log_into_file(writer)
        finally:
            spent.setdefault("checkpoint", []).append(time.thread_time() - start)

    brings_log_into_file = Writer.checkpoint
    Writer.checkpoint = checkpoint  # type: ignore[method-assign]
    unit = min(_unit() for _ in range(5))
    train("agent", epochs)
    train("agent", epochs)
    start = time.perf_counter(), time.process_time()
    from kerasprov_agent.capture.session import session

    session.at_exit()
    ended = time.perf_counter() - start[0], time.process_time() - start[1]
    print(json.dumps({"unit": unit, "armed": armed, "spent": spent, "ended": ended}))
    kerasprov_agent.stop()


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
    """The agent's own CPU time in milliseconds, from one process that trains twice."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", "own", "--epochs", str(epochs)],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    spent = found["spent"]

    def of(*names: str) -> list[list[float]]:
        return [values for name, values in spent.items() if name in names]

    per_epoch = of(
        "epochs.before_epoch", "epochs.after_begin", "epochs.before_end", "epochs.after_epoch"
    )
    # The validation of each epoch, not the two evaluations after training.
    validations = sorted(spent.get("evaluating.before_evaluate", []))[: epochs * 2]
    per_fit = of(
        "training.before_compile", "training.after_compile", "training.before_fit",
        "epochs.before_train", "training.after_feed", "training.after_fit", "optimizers.before",
        "optimizers.after",
    )  # fmt: skip
    return {
        "(unit)": found["unit"] * 1000,
        "arming": found["armed"] * 1000,
        "hooking Keras": sum(spent["kerasprov_agent._instrument"]) * 1000,
        "first fit": sum(values[0] for values in per_fit) * 1000,
        "second fit": sum(sum(values[len(values) // 2 :]) for values in per_fit) * 1000,
        "an epoch": (sum(map(median, per_epoch)) + (median(validations) if validations else 0))
        * 1000,
        "log into file": median(spent["checkpoint"]) * 1000,
        "the end": found["ended"][1] * 1000,
        "the end, wall": found["ended"][0] * 1000,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7, help="rounds in which all take turns")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child == "own":
        own_time(given.epochs)
    elif given.child:
        train(given.child, given.epochs)
    else:
        report(given.pairs, given.epochs, given.json)


def report(pairs: int, epochs: int, as_json: bool) -> None:
    """Run the rounds and print medians, and ratios against the plain training."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run("agent", 1, directory)  # warm the disk cache; make the database
        rounds: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
        for number in range(pairs):
            turn = number % len(VARIANTS)
            for variant in (*VARIANTS[turn:], *VARIANTS[:turn]):
                rounds[variant].append(run(variant, epochs, directory))
        own = measure_own_time(epochs, directory)
    figures = {
        variant: {
            key: {
                "median": median(one[key] for one in rounds[variant]),
                "ratio": median(
                    one[key] / plain[key]
                    for one, plain in zip(rounds[variant], rounds["plain"], strict=True)
                ),
            }
            for key in ("cpu", "wall", "memory")
        }
        for variant in VARIANTS
    }
    if as_json:
        print(json.dumps({"whole process": figures, "own CPU milliseconds": own}, indent=2))
        return
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(f"{epochs} epochs of an MLP, {backend}, median of {pairs} rounds (ratio to plain)")
    print(f"{'':<12}{'CPU s':>16}{'wall s':>16}{'peak MB':>16}")
    for variant, values in figures.items():
        cells = "".join(f"{v['median']:>9.2f} {v['ratio']:>6.3f}" for v in values.values())
        print(f"{variant:<12}{cells}")
    print("\nthe agent's own CPU time, ms")
    for part, milliseconds in own.items():
        print(f"{part:<16}{milliseconds:>8.3f}")


if __name__ == "__main__":
    main()
