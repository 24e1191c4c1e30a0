"""Programs throw modules out of `sys.modules`: Keras', and ours with them, which begin alike."""

from __future__ import annotations

import gc
import json
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.capture.patching import functions, registry, wrapping
from tests.conftest import python, row, rows
from tests.process.test_finders import armed

BY_PREFIX = "for name in [name for name in sys.modules if name.startswith('keras')]:\n"
THROWN_OUT = (
    """
import importlib, sys, types
from unittest import mock
import kerasprov_agent
from kerasprov_agent import guard, settings
from kerasprov_agent.capture import hooks
def ours():
    return {name: one for name, one in sys.modules.items() if name.startswith("kerasprov_agent")}
before = ours()
facts = {name: (one.__spec__, one.__loader__, vars(one).copy()) for name, one in before.items()}
def check():
    after = ours()
    assert after.keys() == before.keys(), before.keys() ^ after.keys()
    for name, one in after.items():
        assert one is before[name]
        assert (one.__spec__, one.__loader__, vars(one)) == facts[name], name

# By their names.
"""
    + BY_PREFIX
    + """    del sys.modules[name]
import kerasprov_agent.capture.files.watching
check()

# Some alone, and their packages not.
del sys.modules["kerasprov_agent.capture.hooks.calls"], sys.modules["kerasprov_agent.capture.hooks"]
from kerasprov_agent.capture.hooks import calls
import kerasprov_agent.capture.hooks.calls
check()

# Tests that put back what was there before, and those that begin with nothing.
with mock.patch.dict(sys.modules):
    from kerasprov_agent import documents
    from kerasprov_agent.read import notebook
import kerasprov_agent.documents, kerasprov_agent.read.notebook
assert kerasprov_agent.documents is documents and kerasprov_agent.read.notebook is notebook
with mock.patch.dict(sys.modules, clear=True):
    pass
saved = dict(sys.modules)
sys.modules.clear()
sys.modules.update({name: one for name, one in saved.items() if "kerasprov" not in name})
assert importlib.import_module("kerasprov_agent.guard") is guard

# Reloaded, as a notebook's autoreload does it.
guard.warn_marker = settings.reload_marker = object()
for one in (kerasprov_agent, guard, settings, hooks):
    assert importlib.reload(one) is one
assert guard.warn_marker is settings.reload_marker

# `stop` and `start` reach all of them, whatever the program has thrown out.
import numpy
assert hasattr(numpy.load, "__wrapped__")
"""
    + BY_PREFIX
    + """    del sys.modules[name]
kerasprov_agent.stop()
assert not hasattr(numpy.load, "__wrapped__")
kerasprov_agent.start()
assert hasattr(numpy.load, "__wrapped__")
import kerasprov_agent as again
assert again is before["kerasprov_agent"]
"""
)


def test_the_agent_keeps_its_modules(tmp_path: Path) -> None:
    assert armed(tmp_path, THROWN_OUT) == ""


TWO_BACKENDS = """
import os, sys, warnings
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras, numpy as np
warnings.simplefilter("ignore")
x = np.random.rand(32, 4).astype("float32")
def train(keras, epochs):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], epochs=epochs, verbose=0)
    model.evaluate(x, x[:, :1], verbose=0)
    return model
first, old = train(keras, 2), keras
keras.config.set_backend("jax")
import keras
assert keras is not old
train(keras, 3)
first.fit(x, x[:, :1], epochs=1, verbose=0)  # of the old Keras, which is alive
os.environ["KERAS_BACKEND"] = "torch"
for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
    del sys.modules[name]
import keras, tf_keras
train(keras, 4)
train(tf_keras, 5)
print(old.backend.backend(), keras.backend.backend())
STOP
"""
STOP = """
import kerasprov_agent
from kerasprov_agent.capture.patching.wrapping import Patch
assert all(isinstance(one.Model.fit, Patch) for one in (old, keras, tf_keras))
kerasprov_agent.stop()
assert not any(isinstance(one.Model.fit, Patch) for one in (old, keras, tf_keras))
"""


@pytest.mark.skipif(
    not all(map(find_spec, ("tensorflow", "jax", "torch", "tf_keras"))),
    reason="needs several backends",
)
def test_each_backend_in_turn_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(TWO_BACKENDS.replace("STOP", ""))
    (tmp_path / "train.py").write_text(TWO_BACKENDS.replace("STOP", STOP))
    plain = python("plain.py", directory=tmp_path)
    done = python("-m", "kerasprov_agent", "train.py", directory=tmp_path)
    assert plain.returncode == done.returncode == 0, done.stderr.decode()
    assert plain.stdout == done.stdout == b"tensorflow torch\n"
    assert b"kerasprov_agent:" not in done.stderr
    database = tmp_path / "kerasprov.db"
    execution = row(database, "SELECT * FROM execution")
    assert (execution["backend"], execution["keras_package"]) == ("tensorflow", "keras")
    assert execution["status"] == "finished"
    epochs = [found["epochs_finished"] for found in rows(database, "SELECT * FROM run")]
    assert epochs == [2, 3, 1, 4, 5]
    assert row(database, "SELECT count(*) AS n FROM evaluation")["n"] == 4
    differing: dict[int, dict[str, Any]] = {}
    query = (
        "SELECT r.number, p.name, p.value FROM param p JOIN run r ON r.id = p.run_id "
        "WHERE p.source = 'keras'"
    )
    for number, name, value in (found.values() for found in rows(database, query)):
        differing.setdefault(number, {})[name] = value
    assert differing.keys() == {2, 4, 5}  # not where it is as the execution says
    assert (differing[2]["backend"], differing[4]["backend"]) == ("jax", "torch")
    assert "version" not in differing[2] and differing[2]["backend_version"]
    assert differing[5]["package"] == "tf_keras" and "backend" not in differing[5]
    assert differing[5]["version"].startswith("2."), json.dumps(differing)


def test_nothing_of_ours_keeps_a_class_alive_that_was_patched() -> None:
    """An old Keras goes when the program lets go of it; others' classes are patched as ever."""

    class Old:
        def __init__(self) -> None:
            self._rate = 1

        def fit(self) -> int:
            return 1

        def build(self) -> int:
            return 2

        @property
        def rate(self) -> int:
            return self._rate

        @rate.setter
        def rate(self, value: int) -> None:
            self._rate = value

    def patch(owner: type) -> None:
        wrapping.apply(owner, "fit", wrapping.observe(None, None))
        wrapping.apply_plain(owner, "build", lambda *_: None)
        wrapping.apply_setter(owner, "rate", lambda *_: None)
        functions.apply(owner, "__init__", lambda *_: None, lambda *_: None)

    copied = {name: one for name, one in vars(Old).items() if callable(one) or name == "rate"}
    other = type("Other", (), copied)
    before = dict(vars(other))
    patch(Old)
    patch(other)
    one: Any = Old()
    one.rate = 5
    assert (one.fit(), one.build(), one.rate) == (1, 2, 5) and vars(other) != before
    gone = weakref.ref(Old)
    del Old, one, copied
    gc.collect()
    assert gone() is None
    registry.patches.remove()
    assert dict(vars(other)) == before
