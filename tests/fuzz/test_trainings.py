"""Real trainings with objects of the program's that do anything when they are asked anything.

Each is trained without the agent and with it: what it returns, raises and prints is the same, its
objects are asked the same, but for what Keras itself asks to describe them, and its record is whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import prov.model
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kerasprov_agent
from tests.conftest import kerasprov, rows
from tests.fuzz.conftest import EXAMPLES

METHODS = (
    "__repr__", "__str__", "__eq__", "__bool__", "__len__", "__iter__", "__getitem__", "__hash__",
    "__float__", "__int__", "__index__", "__array__", "__call__", "__reduce_ex__", "__deepcopy__",
    "__contains__", "__format__", "__dir__", "__getattr__", "__lt__", "__fspath__",
)  # fmt: skip
ANSWERS: dict[str, Callable[[], Any]] = {
    "raises": lambda: 1 / 0,
    "leaves": lambda: exit(3),
    "is interrupted": lambda: (_ for _ in ()).throw(KeyboardInterrupt),
    "prints": lambda: print("asked"),
    "says anything": lambda: object(),
    "says a number": lambda: -1,
}
PLACES = ("callback", "callback's attribute", "logs", "layer's config", "optimizer's config",
          "loss", "model's attribute", "class weight", "history")  # fmt: skip
CONFIGURED = ("layer's config", "optimizer's config")
"""What Keras is asked to describe: it asks the object in its own ways, and names it in errors."""
TEXTS = st.text(st.characters(exclude_categories=()), min_size=1, max_size=30)


def odd(answers: dict[str, str], asked: Counter[str]) -> Any:
    """An object that answers some special methods so, and counts what it is asked."""

    def method(name: str, answer: str) -> Callable[..., Any]:
        def act(*_args: Any, **_kwargs: Any) -> Any:
            asked[name] += 1
            return ANSWERS[answer]()

        return act

    body = {name: method(name, answer) for name, answer in answers.items()}
    return type("Odd", (), {**body, "__module__": "__main__"})()


def train(place: str, value: Any, name: str) -> tuple[Any, ...]:
    """Train with an odd object in a place; what came of it."""
    keras.utils.set_random_seed(1)

    class Layer(keras.layers.Dense):  # type: ignore[misc]
        def get_config(self) -> dict[str, Any]:
            more = {"odd": value} if place == "layer's config" else {}
            return {**super().get_config(), **more}

    class Optimizer(keras.optimizers.SGD):  # type: ignore[misc]
        def get_config(self) -> dict[str, Any]:
            more = {"odd": value} if place == "optimizer's config" else {}
            return {**super().get_config(), **more}

    class Callback(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if place == "logs":
                logs[name] = value
            if place == "history":
                self.model.history.history[name] = [value] * (epoch + 1)

    callback = Callback()
    if place == "callback's attribute":
        vars(callback)[name] = value
    callbacks = [callback, value] if place == "callback" else [callback]
    x = np.arange(8, dtype="float32").reshape(4, 2)
    losses: Any = None
    try:
        model = keras.Sequential([keras.Input((2,)), Layer(1, kernel_initializer="ones")])
        if place == "model's attribute":
            vars(model)[name] = value
        loss = value if place == "loss" else "mse"
        model.compile(Optimizer(0.01), loss, run_eagerly=True)
        weight = {0: value} if place == "class weight" else None
        history = model.fit(
            x, np.zeros((4, 1)), epochs=2, verbose=0, callbacks=callbacks, class_weight=weight
        )
        losses = history.history["loss"]
    except BaseException as exc:
        return type(exc), losses
    return None, losses


@settings(max_examples=EXAMPLES)
@given(
    place=st.sampled_from(PLACES),
    answers=st.dictionaries(st.sampled_from(METHODS), st.sampled_from(sorted(ANSWERS)), max_size=6),
    name=TEXTS,
)
@example(place="loss", answers={"__getattr__": "is interrupted"}, name="0")
@example(place="logs", answers={"__fspath__": "is interrupted"}, name="0")
def test_a_training_is_the_same_and_its_record_is_whole(
    place: str,
    answers: dict[str, str],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if place in CONFIGURED:
        answers = {
            method: "raises" if answer == "is interrupted" else answer
            for method, answer in answers.items()
        }
    outcomes = []
    database = tmp_path / "kerasprov.db"
    for path in tmp_path.glob("kerasprov*"):
        path.unlink()
    monkeypatch.setenv("KERASPROV_DB", str(database))
    monkeypatch.setenv("KERASPROV_PROV", "off")
    for is_recorded in (False, True):
        kerasprov_agent.stop()
        if is_recorded:
            kerasprov_agent.start()
        capsys.readouterr()
        asked: Counter[str] = Counter()
        came = train(place, odd(answers, asked), name)
        printed = capsys.readouterr()
        outcomes.append((came, *(() if place in CONFIGURED else (printed.out, asked))))
    kerasprov_agent.stop()
    assert outcomes[0] == outcomes[1]
    losses = outcomes[1][0][1]
    if losses is not None:
        assert rows(database, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        found = rows(database, "SELECT loss FROM epoch ORDER BY epoch")
        if not (place in ("logs", "history") and name == "loss"):
            assert [row["loss"] for row in found] == losses
        assert rows(database, "SELECT status FROM runs")[0]["status"] == "finished"
        for words in (("show", "last"), ("prov", "last", "-o", tmp_path / "run.json")):
            done = kerasprov(*words, "--db", database)
            assert done.exit_code == 0, (words, done.output)
        json.loads((tmp_path / "run.json").read_text())
        document = prov.model.ProvDocument.deserialize(tmp_path / "run.json", format="json")
        assert document.get_records()
