"""A fault in any one of our handlers changes nothing that the program does, and says so once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasprov_agent
from kerasprov_agent.capture import hooks
from tests.conftest import TINY, python
from tests.hooks.test_loops import loop_over

HANDLERS = [
    (target, which)
    for target in (*hooks.TARGETS, *hooks.TUNER_TARGETS)
    for which in ("before", "after")
    if getattr(target, which) is not None
]
NAMES = [f"{t.owner}.{t.method}-{t.modules[0].split('.')[-1]}-{which}" for t, which in HANDLERS]


class OursError(Exception):
    """A defect of the agent's."""


def fault(*_: Any, **__: Any) -> None:
    raise OursError("a defect")


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((32, 4), dtype="float32")
    return x, x.sum(1, keepdims=True)


def build(*_: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.5), "mse")
    return model


class Changing(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = 0.05


def program(directory: Path) -> list[Any]:
    """What every handler has a part in; returns all that it computed."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    x, y = data()
    seen: list[Any] = []
    model = build()
    fitted = model.fit(
        x, y, epochs=3, validation_split=0.25, callbacks=[Changing()], batch_size=8, verbose=0
    )
    seen += [fitted.history, fitted.epoch, model.evaluate(x, y, verbose=0)]
    seen += [float(model.train_on_batch(x, y)), float(model.test_on_batch(x, y))]
    seen += [model.predict(x, verbose=0).tolist(), np.asarray(model.predict_on_batch(x)).tolist()]
    model.save(directory / "model.keras")
    model.save_weights(directory / "model.weights.h5")
    model.load_weights(directory / "model.weights.h5")
    if keras.backend.backend() == "tensorflow":
        model.export(directory / "exported", verbose=False)
    loaded = keras.models.load_model(directory / "model.keras")
    seen.append([w.tolist() for w in loaded.get_weights()])
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    loop_over(other, keras.optimizers.Adam(0.01), 4)
    seen += [[w.tolist() for w in each.get_weights()] for each in (model, other)]
    return [*seen, keras.random.uniform((2,)).__array__().tolist(), float(np.random.rand())]


def search(directory: Path) -> list[Any]:
    keras_tuner = pytest.importorskip("keras_tuner")
    keras.utils.set_random_seed(3)
    tuner = keras_tuner.RandomSearch(
        build,
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=1,
        directory=directory,
        overwrite=True,
    )
    tuner.search(*data(), epochs=2, verbose=0)
    return [one.score for one in tuner.oracle.trials.values()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    kerasprov_agent.stop()
    return program(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[bool]:
    """Arm the agent with one handler broken; tells whether it is KerasTuner's."""
    target, which = request.param
    broken = target._replace(**{which: fault})
    for name in ("TARGETS", "TUNER_TARGETS"):
        targets = getattr(hooks, name)
        monkeypatch.setattr(hooks, name, tuple(broken if t is target else t for t in targets))
    monkeypatch.setenv("KERASPROV_DB", str(tmp_path / "kerasprov.db"))
    monkeypatch.delenv("KERASPROV_DEBUG")
    kerasprov_agent.stop()
    kerasprov_agent.start()
    yield target.owner == "BaseTuner"
    kerasprov_agent.stop()


def is_here(target: hooks.Target) -> bool:
    """Whether this Keras, with this backend, comes by the target."""
    import importlib

    package = "keras_tuner" if target.owner == "BaseTuner" else "keras"
    if package == "keras_tuner":
        pytest.importorskip("keras_tuner")
    for name in target.modules:
        try:
            module = importlib.import_module(name.format(package))
        except ImportError:
            continue
        owner = getattr(module, target.owner, None)
        if owner is not None and hasattr(owner, target.method):
            # `stateless_apply` is how JAX is used; `program` exports from TensorFlow alone.
            needed = {"stateless_apply": "jax", "export": "tensorflow"}.get(target.method)
            return needed in (None, keras.backend.backend())
    return False


@pytest.mark.parametrize(
    "disturbed",
    [
        # Each third is enough where slow tests are left out.
        pytest.param(handler, id=name, marks=[pytest.mark.slow] if place % 3 else [])
        for place, (handler, name) in enumerate(zip(HANDLERS, NAMES, strict=True))
    ],
    indirect=True,
)
def test_a_fault_in_a_handler(
    disturbed: bool,
    undisturbed: list[Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    target, _ = request.node.callspec.params["disturbed"]
    with caplog.at_level(logging.WARNING, "kerasprov_agent"):
        if disturbed:
            kerasprov_agent.stop()
            expected = search(tmp_path)
            kerasprov_agent.start()
            assert search(tmp_path) == expected
        else:
            assert program(tmp_path) == undisturbed
        kerasprov_agent.stop()
    warnings = [r.getMessage() for r in caplog.records if r.name == "kerasprov_agent"]
    if is_here(target):
        faults = [one for one in warnings if "OursError: a defect" in one]
        resting = [one for one in warnings if "fault failed 3 times in a row" in one]
        assert len(faults) == 1 and len(resting) <= 1, warnings
        assert len(warnings) == len(faults) + len(resting), warnings
    else:
        assert warnings == []


EVERYWHERE = """
import kerasprov_agent.capture.hooks as hooks
from kerasprov_agent.capture import lifetime, session
from kerasprov_agent.capture import recorder
from kerasprov_agent.capture.files import watching
class OursError(Exception): pass
def fault(*a, **k): raise OursError("a defect")
hooks.TARGETS = tuple(
    t._replace(before=t.before and fault, after=t.after and fault) for t in hooks.TARGETS)
lifetime.ENDING, session.fault = (("capture.session", "fault"),), fault
recorder.Recorder = fault
watching.Watch._note = fault
"""
ENDING = """
import sys
print(model.fit(x, y, epochs=2, verbose=0).history, model.evaluate(x, y, verbose=0))
print([w.tolist() for w in model.get_weights()])
sys.exit(5)
"""


@pytest.mark.slow
def test_faults_everywhere_leave_output_and_exit_status(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(TINY + ENDING)
    (tmp_path / "faulty.py").write_text(EVERYWHERE + TINY + ENDING)
    variables = {"TF_ENABLE_ONEDNN_OPTS": "0"}
    plain = python("plain.py", directory=tmp_path, variables=variables)
    faulty = python("-m", "kerasprov_agent", "faulty.py", directory=tmp_path, variables=variables)
    assert (
        (faulty.returncode, faulty.stdout) == (plain.returncode, plain.stdout) == (5, plain.stdout)
    )
    ours = [line for line in faulty.stderr.splitlines() if b"kerasprov_agent:" in line]
    # One line a place, and one where it rests after three faults in a row.
    assert 1 <= len(ours) == len(set(ours)) <= 4, faulty.stderr.decode()
    assert all(b"OursError: a defect" in one or b"3 times in a row" in one for one in ours)
