"""The patched Keras behaves as the unpatched one wherever a program may look."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import Model  # bound before the agent is armed

import kerasprov_agent
from kerasprov_agent.capture.patching import wrapping
from tests.conftest import row, rows

METHODS = ("compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "save")


def small_model() -> Any:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(24, dtype="float32").reshape(8, 3) / 24
    return x, x.sum(1)


class Subclassed(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.out = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(x)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return super().fit(*args, **kwargs)


def test_methods_answer_as_the_original_ones(recording: Path) -> None:
    for name in METHODS:
        patched = getattr(keras.Model, name)
        original = patched.__wrapped__
        assert isinstance(patched, wrapping.Patch) and patched is getattr(keras.Model, name)
        assert inspect.getdoc(patched)
        assert inspect.signature(patched) == inspect.signature(original)
        assert inspect.isfunction(patched) and patched == original
        assert repr(patched) == repr(original) and callable(patched)
        assert hash(patched) == hash(original) and patched.__qualname__ == original.__qualname__
        bound = getattr(small_model(), name)
        assert inspect.ismethod(bound) and bound.__func__ == original
        assert repr(bound).startswith(f"<bound method {original.__qualname__} of <Sequential")


def test_methods_pickle_and_copy(recording: Path) -> None:
    assert pickle.loads(pickle.dumps(keras.Model.fit)) == keras.Model.fit
    model = small_model()
    for method in (model.fit, functools.partial(model.fit, epochs=2)):
        for clone in (pickle.loads(pickle.dumps(method)), copy.deepcopy(method)):
            target = clone.func if isinstance(clone, functools.partial) else clone
            assert target.__self__ is not model
            clone(*data(), verbose=0)
    assert copy.copy(model.fit).__self__ is model


def test_models_load_compiled_and_train_on(recording: Path, tmp_path: Path) -> None:
    model = small_model()
    model.fit(*data(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer is not None
    loaded.fit(*data(), verbose=0)
    for clone in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        clone.fit(*data(), verbose=0)
    assert len(rows(recording, "SELECT * FROM run WHERE status = 'finished'")) == 4


def test_names_bound_before_and_subclasses_are_covered(recording: Path) -> None:
    x, y = data()
    model = Subclassed()
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    Model.fit(small_model(), x, y, verbose=0)
    bound_later = small_model()
    bound_later.fit(x, y, verbose=0)
    found = rows(recording, "SELECT model, status FROM runs ORDER BY run")
    assert [r["model"] for r in found] == [
        f"{__name__}.Subclassed",
        "Sequential",
        "Sequential",
    ]


def test_a_method_bound_before_arming_is_recorded_too(recording: Path) -> None:
    kerasprov_agent.stop()
    fit = small_model().fit
    kerasprov_agent.start()
    fit(*data(), epochs=3, verbose=0)
    found = row(recording, "SELECT * FROM runs")
    assert (found["status"], found["epochs"], found["epochs_finished"]) == ("finished", 3, 3)


def test_such_a_fit_that_fails_is_over(recording: Path) -> None:
    import gc
    import weakref

    from kerasprov_agent.capture.hooks import calls

    kerasprov_agent.stop()
    model = small_model()
    fit = model.fit
    kerasprov_agent.start()
    with contextlib.suppress(KeyError):
        fit(*data(), verbose=0, callbacks=[Raising("on_epoch_end")])
    gc.collect()
    assert calls.top() is None
    small_model().fit(*data(), verbose=0)
    assert row(recording, "SELECT parent_id FROM run WHERE number = 2")["parent_id"] is None
    gone = weakref.ref(model)
    del model, fit
    keras.utils.clear_session()
    gc.collect()
    assert gone() is None


def test_stop_restores_an_uninstrumented_process() -> None:
    from keras.src.callbacks import CallbackList
    from keras.src.optimizers.base_optimizer import BaseOptimizer
    from keras.src.trainers.epoch_iterator import EpochIterator

    kerasprov_agent.stop()
    classes = (*keras.Model.__mro__[:-1], CallbackList, BaseOptimizer, EpochIterator)
    before = [dict(vars(cls)) for cls in classes]
    finders = list(sys.meta_path)
    kerasprov_agent.start()
    assert [dict(vars(cls)) for cls in classes] != before
    kerasprov_agent.stop()
    assert [dict(vars(cls)) for cls in classes] == before
    assert sys.meta_path == finders


def closure(original: Callable[..., Any], seen: list[str]) -> Callable[..., Any]:
    @functools.wraps(original)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("theirs")
        return original(self, *args, **kwargs)

    return fit


@pytest.mark.parametrize("order", ["below", "above"])
def test_another_tools_patch_lives_beside_ours(
    recording: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    seen: list[str] = []
    kerasprov_agent.stop()
    if order == "above":
        kerasprov_agent.start()
    theirs = closure(vars(keras.Model).get("fit", keras.Model.fit), seen)
    monkeypatch.setattr(keras.Model, "fit", theirs)
    kerasprov_agent.start()
    small_model().fit(*data(), verbose=0)
    assert seen == ["theirs"] and len(rows(recording, "SELECT * FROM run")) == 1
    kerasprov_agent.stop()
    assert vars(keras.Model)["fit"] is theirs
    small_model().fit(*data(), verbose=0)
    assert seen == ["theirs"] * 2 and len(rows(recording, "SELECT * FROM run")) == 1
    kerasprov_agent.start()
    small_model().fit(*data(), verbose=0)
    assert seen == ["theirs"] * 3 and len(rows(recording, "SELECT * FROM run")) == 2


class Raising(keras.callbacks.Callback):
    def __init__(self, where: str) -> None:
        super().__init__()
        setattr(self, where, self.fail)

    def fail(self, *_args: Any, **_kwargs: Any) -> None:
        raise KeyError("the user's own")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs zero-cost exceptions of 3.11")
@pytest.mark.parametrize(
    "where",
    ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_end", "on_epoch_end"],
)
def test_exceptions_pass_with_their_traceback(recording: Path, where: str) -> None:
    texts = []
    for armed in (False, True):
        kerasprov_agent.stop()
        if armed:
            kerasprov_agent.start()
        try:
            small_model().fit(
                *data(), validation_data=data(), verbose=0, callbacks=[Raising(where)]
            )
        except KeyError as exc:
            assert exc.__context__ is None and exc.__cause__ is None
            texts.append(traceback.format_exc())
    assert len(texts) == 2
    assert "kerasprov_agent" not in texts[1]
    assert [line for line in texts[0].splitlines() if "test_wrapping" not in line] == [
        line for line in texts[1].splitlines() if "test_wrapping" not in line
    ]
    assert row(recording, "SELECT status, exception_type FROM run") == {
        "status": "failed",
        "exception_type": "KeyError",
    }


@pytest.mark.parametrize(
    "given",
    [None, [], (), [keras.callbacks.Callback()], keras.callbacks.Callback()],
    ids=["none", "list", "tuple", "one", "bare"],
)
def test_the_users_callbacks_are_not_touched(recording: Path, given: Any) -> None:
    before = list(given) if isinstance(given, (list, tuple)) else given
    model = small_model()
    history = model.fit(*data(), None, 2, 0, given)
    assert (list(given) if isinstance(given, (list, tuple)) else given) == before
    assert history is model.history and len(history.epoch) == 2
    assert len(rows(recording, "SELECT * FROM epoch")) == 2


def test_nothing_of_the_user_is_kept_alive(recording: Path) -> None:
    import gc
    import weakref

    model = small_model()
    x, y = data()
    callbacks = [keras.callbacks.Callback()]
    model.fit(x, y, verbose=0, callbacks=callbacks)
    model.evaluate(x, y, verbose=0)
    watched = [weakref.ref(one) for one in (model, x, model.optimizer, callbacks[0])]
    del model, x, y, callbacks
    gc.collect()
    keras.utils.clear_session()
    gc.collect()
    assert [one() for one in watched] == [None] * 4


def test_faults_of_ours_are_swallowed_and_told_once(
    recording: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from kerasprov_agent.capture import recorder
    from kerasprov_agent.capture.session import session

    monkeypatch.delenv("KERASPROV_DEBUG")

    def broken(*_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError("broken on purpose")

    for part, name in (
        (recorder.Trainings, "started"),
        (recorder.Trainings, "epoch_ended"),
        (recorder.Uses, "evaluation_started"),
        (recorder.Models, "compiled"),
    ):
        monkeypatch.setattr(part, name, broken)
    for _ in range(3):
        model = small_model()
        assert len(model.fit(*data(), epochs=2, verbose=0).epoch) == 2
        assert isinstance(model.evaluate(*data(), verbose=0), float)
    messages = [r.message for r in caplog.records if r.name == "kerasprov_agent"]
    assert len(messages) == len(set(messages))
    assert all("internal error" in one or "3 times in a row" in one for one in messages)
    kerasprov_agent.stop()
    assert not isinstance(keras.Model.fit, wrapping.Patch) and session.recorder is None
