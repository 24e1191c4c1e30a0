"""What ends at the guard, and what is the program's and passes."""

from __future__ import annotations

import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent import guard
from tests.conftest import TINY, recorded, row, rows


class LimitError(TimeoutError):
    """Raised by a signal handler of the program's."""


class Limit:
    def __init__(self) -> None:
        self.seconds = 1

    def over(self, signum: int, frame: Any) -> None:
        raise LimitError

    def __call__(self, *given: Any) -> None:
        raise LimitError


def over(signum: int, frame: Any) -> None:
    def inner() -> None:
        raise LimitError(signum)

    inner()


def exits(signum: int, frame: Any) -> None:
    raise SystemExit(3)


HANDLERS: dict[str, Any] = {
    "function": over,
    "method": Limit().over,
    "object": Limit(),
    "partial": functools.partial(lambda name, signum, frame: over(signum, frame), "name"),
    "any arguments": lambda *_: over(0, None),
    "exit": exits,
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("KERASPROV_DEBUG")
    guard.reset()
    yield
    guard.reset()


@pytest.mark.parametrize(
    "guarded", [guard.call, guard.always, guard.call_own, guard.attempt, guard.ask]
)
@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_what_a_signal_handler_raises_reaches_the_program(
    guarded: Callable[..., Any], handler: Any
) -> None:
    def ours() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        sum(range(1000))

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises((LimitError, SystemExit)):
            guarded(ours)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_fault_of_ours_that_holds_a_frame_ends_at_the_guard() -> None:
    import inspect

    def fails(number: int, frame: Any) -> None:
        raise ValueError(number, frame)

    def ours() -> None:
        fails(14, inspect.currentframe().f_back)  # type: ignore[union-attr]

    assert guard.call(ours) is None


class WordlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def wordless() -> None:
    raise WordlessError


def fine() -> int:
    return 1


def test_a_fault_without_words_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    assert guard.call(wordless) is None
    assert "internal error in wordless: WordlessError: (its text cannot be told)" in caplog.text


@pytest.mark.parametrize("part", ["handler", "filter", "formatter"])
def test_a_logger_that_raises_harms_nobody(part: str) -> None:
    class Raising(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            if part == "handler":
                raise RuntimeError("handler")
            return super().handle(record)

        def emit(self, record: logging.LogRecord) -> None:
            self.format(record)

    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError("filter")

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise RuntimeError("formatter")

    handler = Raising()
    if part == "formatter":
        handler.setFormatter(Formatter())
    if part == "filter":
        handler.addFilter(refuse)
    logger = logging.getLogger(guard.LOGGER)
    logger.addHandler(handler)
    try:
        assert guard.call(wordless) is None
    finally:
        logger.removeHandler(handler)


def test_what_fails_three_times_in_a_row_rests_until_the_next_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[str] = []

    def failing() -> None:
        calls.append("failing")
        raise ValueError("a defect")

    def now_and_then() -> None:
        calls.append("now and then")
        if calls.count("now and then") % 3:
            raise ValueError("a defect")

    @guard.begins
    def beginning() -> None:
        calls.append("beginning")
        raise ValueError("a defect")

    for _ in range(10):
        guard.call(failing)
        guard.call(now_and_then)
    assert calls.count("failing") == 3 and calls.count("now and then") == 10
    assert guard.call(fine) == 1
    assert "failing failed 3 times in a row" in caplog.text
    assert caplog.text.count("failed 3 times") == 1
    for _ in range(5):
        guard.call(beginning)
    assert calls.count("beginning") == 5
    guard.call(failing)
    assert calls.count("failing") == 4


LIMITS = (
    TINY
    + """
import random, signal, sys
from kerasprov_agent.capture.hooks import training
from kerasprov_agent.capture.recorder.training import Trainings
random.seed(1)
raised = reached = 0
class Limit(TimeoutError):
    pass
def over(signum, frame):
    global raised
    raised += 1
    raise Limit
signal.signal(signal.SIGALRM, over)
def nobody_can_be_told(problem):
    # Python drops what is raised within a destructor of some library
    global raised
    raised -= problem.exc_type is Limit and "kerasprov" not in repr(problem.object)
sys.unraisablehook = nobody_can_be_told
def limited(function, longest):
    def timed(*args, **kwargs):
        if raised == reached:  # one a training
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, longest))
        try:
            return function(*args, **kwargs)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return timed
model.fit(x, y, epochs=1, verbose=0)
training._begun = limited(training._begun, 0.003)
training.describe_architecture = limited(training.describe_architecture, 0.005)
Trainings.epoch_ended = limited(Trainings.epoch_ended, 0.001)
Trainings.ended = limited(Trainings.ended, 0.003)
for number in range(150):
    try:
        model.fit(x[:8], y[:8], epochs=2, verbose=0)
    except Limit:
        reached += 1
print(raised, reached)
"""
)


@pytest.mark.slow
def test_time_limits_of_the_program_hold_while_our_code_is_at_work(tmp_path: Path) -> None:
    done = recorded(tmp_path, LIMITS, KERASPROV_DEBUG="0")
    assert done.returncode == 0, done.stderr.decode()
    raised, reached = map(int, done.stdout.split())
    assert raised == reached > 10, done.stderr.decode()
    assert b"internal error" not in done.stderr
    database = tmp_path / "kerasprov.db"
    statuses = rows(
        database, "SELECT status, count(*) AS n, count(parent_id) AS nested FROM run GROUP BY 1"
    )
    print(statuses)
    assert {one["status"] for one in statuses} <= {"finished", "failed", "interrupted"}
    assert sum(one["n"] for one in statuses) == 151
    assert not any(one["nested"] for one in statuses)
    assert row(database, "SELECT status FROM execution")["status"] == "finished"


def test_a_hostile_object_costs_what_it_hides(tmp_path: Path) -> None:
    script = (
        TINY
        + """
class Hostile(keras.callbacks.Callback):
    hidden = property(lambda self: 1 / 0)
    def __getattribute__(self, name):
        if name in ("__dict__", "monitor", "patience"):
            raise RuntimeError(name)
        return super().__getattribute__(name)
class Exits(keras.layers.Layer):
    def call(self, x):
        return x * 1.0
    def get_config(self):
        raise SystemExit("asked for its configuration")
own = keras.Sequential([keras.Input((4,)), Exits(), keras.layers.Dense(1)])
own.compile("sgd", "mse")
for _ in range(4):
    own.fit(x, y, epochs=1, verbose=0, callbacks=[Hostile()])
model.fit(x, y, epochs=2, verbose=0)
print("to the end")
"""
    )
    done = recorded(tmp_path, script, KERASPROV_DEBUG="0")
    assert (done.returncode, done.stdout.strip()) == (0, b"to the end"), done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    found = rows(database, "SELECT status, epochs_finished FROM run ORDER BY number")
    assert [tuple(one.values()) for one in found] == [("finished", 1)] * 4 + [("finished", 2)]
    layers = rows(database, "SELECT class_name FROM layers WHERE run = 1")
    assert [one["class_name"] for one in layers] == ["Exits", "Dense"]


def test_a_child_that_leaves_a_step_of_its_parents(tmp_path: Path) -> None:
    script = """
import kerasprov_agent, os, time
with kerasprov_agent.activity("prepare"):
    open("made.txt", "w").close()
    child = os.fork()
    if not child:
        time.sleep(0.1)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""
    assert recorded(tmp_path, script).returncode == 0
    step = row(tmp_path / "kerasprov.db", "SELECT name, status FROM activity WHERE kind = 'step'")
    assert step == {"name": "prepare", "status": "finished"}


WITHIN_OUR_WORK = """
import signal, sys
import keras, numpy as np
from kerasprov_agent.capture.recorder import ledger
from kerasprov_agent.store import writer
handled = []
def handler(signum, frame):
    handled.append(signum)
    model.save("handled.keras")
    model.evaluate(x, x[:, :1], verbose=0)
    np.save("handled.npy", np.load("x.npy"))
def interrupted(place, name, word):
    original = getattr(place, name)
    def function(*args):
        if word in args[1] and len(handled) < 5:
            signal.raise_signal(signal.SIGUSR1)
        return original(*args)
    setattr(place, name, function)
x = np.random.rand(16, 4)
np.save("x.npy", x)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
signal.signal(signal.SIGUSR1, handler)
interrupted(writer, "apply", "measured")
history = model.fit(x, x[:, :1], epochs=3, verbose=0)
interrupted(ledger.Ledger, "new_id", "save")
model.save("after.keras")
print(len(handled), len(history.history["loss"]))
"""


def test_a_handler_that_comes_in_our_midst_and_trains_does_not_wait_for_itself(
    tmp_path: Path,
) -> None:
    """As one does that saves the model because the machine is wanted back."""
    done = recorded(tmp_path, WITHIN_OUR_WORK)
    assert (done.returncode, done.stdout) == (0, b"4 3\n"), done.stderr.decode()
    assert b"kerasprov" not in done.stderr
    assert (tmp_path / "handled.npy").exists() and (tmp_path / "handled.keras").exists()
    database = tmp_path / "kerasprov.db"
    assert row(database, "SELECT count(*) AS n FROM epochs")["n"] == 3
    names = {Path(one["path"]).name for one in rows(database, "SELECT path FROM files")}
    assert {"after.keras", "handled.keras", "handled.npy"} <= names


DESTROYED = """
import gc
import keras, numpy as np
from kerasprov_agent.store import writer
class Log:
    def __init__(self):
        self.itself = self
    def __del__(self):
        model.save("log.keras")
        print("gone")
x = np.random.rand(16, 4)
apply = writer.apply
def collecting(*args):
    if "measured" in args[1]:
        gc.collect()
    return apply(*args)
writer.apply = collecting
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
class Logging(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        gc.disable()
        Log()
model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[Logging()])
"""


def test_a_destructor_in_our_midst_does_not_wait_for_itself(tmp_path: Path) -> None:
    done = recorded(tmp_path, DESTROYED)
    assert (done.returncode, done.stdout) == (0, b"gone\ngone\n"), done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    assert row(database, "SELECT count(*) AS n FROM epochs")["n"] == 2
    names = {Path(one["path"]).name for one in rows(database, "SELECT path FROM files")}
    assert "log.keras" in names


AT_RANDOM = """
import random, signal
import keras, numpy as np
handled = []
def handler(signum, frame):
    handled.append(signum)
    np.save("handled.npy", np.fromfile("x.bin"))
    again()
def again():
    if len(handled) < 400:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.01))
x = np.random.rand(16, 4)
x.tofile("x.bin")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x[:, :1], verbose=0)
signal.signal(signal.SIGALRM, handler)
random.seed(2)
again()
history = model.fit(x, x[:, :1], epochs=150, verbose=0)
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(handled) > 20, len(history.history["loss"]))
"""


@pytest.mark.slow
def test_a_handler_reads_and_writes_at_any_moment(tmp_path: Path) -> None:
    done = recorded(tmp_path, AT_RANDOM)
    assert (done.returncode, done.stdout) == (0, b"True 150\n"), done.stderr.decode()
    assert row(tmp_path / "kerasprov.db", "SELECT count(*) AS n FROM epochs")["n"] == 151
