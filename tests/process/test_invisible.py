"""What a program could notice of us, and must not."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasprov_agent
from tests.conftest import ROOT, TINY, clean_environment, python, recorded, row, rows

BACKEND = keras.backend.backend()

STATES = """
import hashlib, json, random, sys
def state():
    found = {
        "random": hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
        "numpy": hashlib.sha256(repr(np.random.get_state()).encode()).hexdigest(),
        "seeds": [int(v) for v in np.asarray(keras.src.backend.common.global_state.get_global_attribute(
            "global_seed_generator").state).ravel()] if keras.src.backend.common.global_state.get_global_attribute(
            "global_seed_generator") else None,
        "name": keras.src.utils.naming.auto_name("dense"),
    }
    if keras.backend.backend() == "torch":
        import torch
        found["torch"] = hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        found["tensorflow"] = tf.random.uniform((2,)).numpy().tolist()
    return found
"""
EVERYTHING = (
    TINY
    + STATES
    + """
found = [state()]
model.fit(x, y, epochs=2, validation_split=0.25, verbose=0); found.append(state())
model.evaluate(x, y, verbose=0); model.predict(x, verbose=0); found.append(state())
model.train_on_batch(x, y); model.save("model.keras"); found.append(state())
keras.saving.load_model("model.keras").fit(x, y, verbose=0); found.append(state())
class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)
    def call(self, x): return self.out(x)
own = Own(); own.compile("sgd", "mse"); own.fit(x, y, verbose=0); found.append(state())
print(json.dumps(found))
"""
)


def both(directory: Path, script: str, **variables: str) -> tuple[bytes, bytes]:
    """What a script prints without us and with us."""
    printed = []
    for name in ("plain", "armed"):
        (directory / name).mkdir()
        (directory / name / "train.py").write_text(script)
        words = ["-m", "kerasprov_agent"] if name == "armed" else []
        done = python(*words, "train.py", directory=directory / name, variables=variables)
        assert done.returncode == 0, done.stderr.decode()
        assert b"kerasprov_agent:" not in done.stderr, done.stderr.decode()
        printed.append(done.stdout)
    assert (directory / "armed" / "kerasprov.db").exists()
    return printed[0], printed[1]


def test_random_states_and_automatic_names(tmp_path: Path) -> None:
    plain, armed = both(tmp_path, EVERYTHING, TF_ENABLE_ONEDNN_OPTS="0", PYTHONHASHSEED="0")
    assert len(json.loads(plain)) == 6 and armed == plain


LATE = """
import os
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["KERAS_BACKEND"] = "@"
import keras
CHECK
import numpy as np
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.zeros((8, 4)), np.zeros(8), verbose=0)
print(keras.backend.backend())
"""
CHECKS = {
    # Each fails once the backend's devices have been initialised.
    "tensorflow": """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
tf.config.threading.set_intra_op_parallelism_threads(1)
assert len(tf.config.list_logical_devices("CPU")) == 3
""",
    "jax": """
import jax
jax.config.update("jax_num_cpu_devices", 3)
assert len(jax.devices()) == 3
""",
    "torch": """
import torch
torch.set_num_interop_threads(1)
assert torch.get_num_threads() == 1, torch.get_num_threads()
assert not torch.cuda.is_initialized()
""",
}


@pytest.mark.slow
def test_devices_threads_and_backend_can_be_set_late(tmp_path: Path) -> None:
    script = LATE.replace("@", BACKEND).replace("CHECK", CHECKS[BACKEND])
    plain, armed = both(tmp_path, script, KERAS_BACKEND="", OMP_NUM_THREADS="")
    assert plain == armed == f"{BACKEND}\n".encode()


ASYNCHRONOUS = """
import keras, numpy as np
from keras.src.callbacks import CallbackList
flags = []
class Look(keras.callbacks.Callback):
    pass
original = CallbackList.__init__
def watched(self, *args, **kwargs):
    original(self, *args, **kwargs)
    flags.append((self._async_train, self._async_test, self._async_predict))
CallbackList.__init__ = watched
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.zeros((64, 4), "float32")
for callbacks in ([], [Look()], [keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]):
    model.fit(x, x[:, :1], validation_split=0.5, epochs=2, verbose=0, callbacks=callbacks)
model.predict(x, verbose=0)
print(flags)
"""


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow has no asynchronous callbacks")
def test_callbacks_stay_asynchronous(tmp_path: Path) -> None:
    plain, armed = both(tmp_path, ASYNCHRONOUS)
    assert armed == plain and b"True" in plain


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX dispatches ahead on a CPU")
def test_steps_are_dispatched_ahead(tmp_path: Path) -> None:
    """Within an epoch nothing waits for the device: we synchronise at its boundaries alone."""
    script = """
import jax, keras, numpy as np
waits = []
array = type(jax.numpy.zeros(()))
original = array.block_until_ready
def block(self):
    waits.append(model._step if hasattr(model, "_step") else None)
    return original(self)
array.block_until_ready = block
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.zeros((640, 4), "float32")
model.fit(x, x[:, :1], epochs=3, batch_size=8, verbose=0)
print(len(waits))
"""
    plain, armed = both(tmp_path, script)
    assert int(armed) <= int(plain) + 3  # one an epoch, of eighty steps


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs zero-cost exceptions of 3.11")
def test_tracebacks_name_no_file_of_ours(tmp_path: Path) -> None:
    script = (
        TINY
        + """
class Fail(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise ValueError("the user's own")
import traceback
for call in (
    lambda: model.fit(x, y, callbacks=[Fail()], verbose=0),
    lambda: model.fit(x[:, :2], y, verbose=0),
    lambda: model.evaluate(x[:, :2], y, verbose=0),
    lambda: model.predict(x[:, :2], verbose=0),
    lambda: model.train_on_batch(x[:, :2], y),
    lambda: model.compile("nonsense"),
    lambda: keras.optimizers.SGD(momentum=-1),
    lambda: model.save("nowhere/else.keras"),
    lambda: setattr(model.optimizer, "learning_rate", "fast"),
):
    try:
        call()
        print("nothing")
    except Exception as exc:
        print(type(exc).__name__, [f.name for f in traceback.extract_tb(exc.__traceback__)])
        # On some processors the text of TensorFlow's graph errors lists every frame of the
        # stack: those below the program are ours. The traceback itself has none.
        files = [f.filename for f in traceback.extract_tb(exc.__traceback__)]
        assert not any("kerasprov_agent/" in file for file in files)
"""
    )
    plain, armed = both(tmp_path, script)
    assert armed == plain and plain.count(b"\n") == 9


def test_objects_of_the_user_live_no_longer(recording: Path) -> None:
    class Own(keras.callbacks.Callback):
        pass

    class Plain(keras.optimizers.SGD):
        pass

    def one() -> list[weakref.ref[Any]]:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        optimizer, callback = Plain(0.1), Own()
        model.compile(optimizer, "mse")
        x = np.zeros((8, 4), "float32")
        model.fit(x, x[:, :1], callbacks=[callback], verbose=0)
        model.evaluate(x, x[:, :1], verbose=0)
        model.predict(x, verbose=0)
        model.train_on_batch(x, x[:, :1])
        return [weakref.ref(each) for each in (model, optimizer, callback)]

    kerasprov_agent.stop()
    bare = one()
    keras.backend.clear_session()
    gc.collect()
    expected = [each() is None for each in bare]
    kerasprov_agent.start()
    ours = one()
    keras.backend.clear_session()
    gc.collect()
    assert [each() is None for each in ours] == expected


def test_no_thread_of_ours_stays(tmp_path: Path) -> None:
    script = (
        TINY
        + "\nmodel.fit(x, y, epochs=2, verbose=0)\nimport threading, time; time.sleep(1)\n"
        + "print(sorted(t.name for t in threading.enumerate() if 'kerasprov' in t.name))\n"
    )
    done = recorded(tmp_path, script)
    assert done.stdout == b"[]\n", done.stderr.decode()
    assert row(tmp_path / "kerasprov.db", "SELECT status FROM execution")["status"] == "finished"


WARNING = """
import warnings
import numpy as np, keras
open("empty.txt", "w").close()
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    np.loadtxt("empty.txt")
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
    def warn(self, *args, **kwargs):
        warnings.warn("about the caller of compile", stacklevel=2)
    keras.Model.train_on_batch = warn
    class Warning_(keras.Model):
        def compile(self, *args, **kwargs):
            warnings.warn("mine", stacklevel=2)
            super().compile(*args, **kwargs)
    Warning_().compile("sgd")
    def fit(*a, **k): warnings.warn("inner", stacklevel=2)
    model.compile("sgd", "mse")
    model.make_train_function = lambda *a, **k: warnings.warn("two up", stacklevel=3)
    try: model.fit(np.zeros((4, 4)), np.zeros(4), verbose=0)
    except Exception: pass
for one in seen:
    print(one.filename.rpartition("/")[2], one.lineno if "train" in one.filename else "", one.message)
"""


def test_warnings_name_the_line_that_they_are_about(tmp_path: Path) -> None:
    told = []
    for armed in (False, True):
        place = tmp_path / str(armed)
        place.mkdir()
        (place / "train.py").write_text(WARNING)
        words = ("-m", "kerasprov_agent") if armed else ()
        done = python(*words, "train.py", directory=place)
        assert done.returncode == 0, done.stderr.decode()
        told.append(done.stdout.decode())
    assert told[0] == told[1] and "no data" in told[0] and "two up" in told[0]


def test_where_python_has_not_yet_loaded_warnings(tmp_path: Path) -> None:
    """A Python without `site` has loaded little; each import is a file that we see opened."""
    script = (
        "import sys; assert 'warnings' not in sys.modules\n"
        "import kerasprov_agent; assert 'warnings' not in sys.modules\n"
        "import warnings, typing, importlib; open('x.txt', 'w').close()\n"
        "print(len(warnings.filters))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-S", "-c", script.replace("import kerasprov_agent;", words)],
            cwd=tmp_path,
            env=clean_environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
        )
        for words in ("pass;", "import kerasprov_agent;")
    ]
    assert told[0].returncode == 0 and told[0].stdout == told[1].stdout, told[1].stderr


QUIET = """
import threading, warnings
import numpy as np, keras
class Talking(keras.layers.Dense):
    def get_config(self):
        warnings.warn("a talking layer")
        return super().get_config()
model = keras.Sequential([keras.Input((4,)), Talking(1)])
model.compile("sgd", "mse")
before = list(warnings.filters)
def again():
    warnings.warn("once only")
again()
model.fit(np.zeros((4, 4)), np.zeros(4), verbose=0)
again()
assert warnings.filters == before
with warnings.catch_warnings():
    warnings.simplefilter("error")
    model.fit(np.zeros((4, 4)), np.zeros(4), verbose=0)
warnings.warn("heard")
"""


def test_what_warns_while_we_look_is_not_heard(tmp_path: Path) -> None:
    """Nor does it change which of the program's own warnings are shown, and how often."""
    (tmp_path / "train.py").write_text(QUIET)
    done = python("-m", "kerasprov_agent", "train.py", directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    told = done.stderr.decode()
    assert "a talking layer" not in told
    assert told.count("UserWarning: once only") == 1 and "heard" in told
    runs = rows(tmp_path / "kerasprov.db", "SELECT model FROM runs WHERE layers = 1")
    assert len(runs) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", ["objects_that_are_not_what_they_seem", "objects_that_count_what_is_asked"]
)
def test_objects_of_the_programs_are_left_in_peace(program: str, tmp_path: Path) -> None:
    script = ROOT / "benchmarks/transparency/programs.py"
    done = python(script, program, directory=tmp_path)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
