"""Trainings in several processes, or on several devices: an execution each, and what joins them."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from kerasprov_agent.capture import children
from kerasprov_agent.capture.describe import job
from tests.conftest import TINY, clean_environment, python, recorded, rest_is_slow, row, rows

TRAIN = """
import os
def train(units):
    import keras, numpy as np
    keras.utils.set_random_seed(units)
    x = np.random.rand(32, 4).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(x, x.sum(1), epochs=2, verbose=0).history["loss"]
    return os.getpid(), history, sorted(k for k in os.environ if k.startswith("KERASPROV"))
"""
POOL = (
    TRAIN
    + """
if __name__ == "__main__":
    ARM
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    os.chdir("elsewhere")
    context = multiprocessing.get_context(METHOD)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for pid, history, found in pool.map(train, [2, 3, 4]):
            assert not found, found
            print(pid, *map(repr, history))
    TAIL
"""
)


def pool(directory: Path, method: str, arm: str = "pass", tail: str = "pass") -> str:
    (directory / "elsewhere").mkdir()
    script = POOL.replace("METHOD", repr(method)).replace("ARM", arm).replace("TAIL", tail)
    (directory / "train.py").write_text(script)
    return "train.py"


def losses(database: Path) -> dict[int, list[list[float]]]:
    """Of each process the losses of its runs."""
    found: dict[int, list[list[float]]] = {}
    query = "SELECT e.pid, r.number FROM run r JOIN execution e ON e.id = r.execution_id ORDER BY r.number"
    for one in rows(database, query):
        epochs = rows(
            database, "SELECT loss FROM epoch WHERE run = ? ORDER BY epoch", one["number"]
        )
        found.setdefault(one["pid"], []).append([e["loss"] for e in epochs])
    return found


def printed(output: bytes) -> dict[int, list[list[float]]]:
    found: dict[int, list[list[float]]] = {}
    for line in output.decode().splitlines():
        pid, *values = line.split()
        found.setdefault(int(pid), []).append([float(v) for v in values])
    return found


@pytest.mark.parametrize("method", rest_is_slow(["spawn", "forkserver", "fork"], "spawn", "fork"))
@pytest.mark.parametrize("door", rest_is_slow(["runner", "import"], "runner"))
def test_children_that_train(tmp_path: Path, method: str, door: str) -> None:
    script = pool(tmp_path, method, "import kerasprov_agent" if door == "import" else "pass")
    words = ["-m", "kerasprov_agent", "--name", "many"] if door == "runner" else []
    done = python(*words, script, directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    assert losses(database) == printed(done.stdout)
    executions = rows(database, "SELECT * FROM execution")
    assert len({one["parent_id"] for one in executions} - {None}) == 1
    assert {one["status"] for one in executions} == {"finished"}
    assert {one["exit_status"] for one in executions} == {None}
    assert {Path(one["script"]).name for one in executions} == {"train.py"}
    assert {one["working_directory"] for one in executions} == {str(tmp_path)}
    assert {one["label"] for one in executions} == {"many" if door == "runner" else "train"}
    assert {one["status"] for one in rows(database, "SELECT status FROM run")} == {"finished"}
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.slow
def test_a_parent_that_trains_too_is_theirs(tmp_path: Path) -> None:
    script = pool(tmp_path, "spawn", tail="print(os.getpid(), *map(repr, train(5)[1]))")
    done = python("-m", "kerasprov_agent", script, directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    assert losses(database) == printed(done.stdout)
    (parent,) = rows(database, "SELECT * FROM execution WHERE parent_id IS NULL")
    assert parent["exit_status"] == 0 and parent["status"] == "finished"
    assert {one["parent_id"] for one in rows(database, "SELECT parent_id FROM execution")} == {
        None,
        parent["id"],
    }


@pytest.mark.slow
def test_a_module_with_children(tmp_path: Path) -> None:
    pool(tmp_path, "spawn")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (tmp_path / "train.py").rename(package / "train.py")
    done = python("-m", "kerasprov_agent", "-m", "package.train", directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    assert losses(database) == printed(done.stdout)
    found = rows(database, "SELECT kind, script FROM execution")
    assert {tuple(one.values()) for one in found} == {("module", "package.train")}


FAILING = """
import multiprocessing
def work(how):
    import keras, numpy as np
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((8, 4)), np.zeros(8), verbose=0)
    if how == "raises":
        raise ValueError("no")
    if how == "exits":
        raise SystemExit(3)
if __name__ == "__main__":
    for how in ("raises", "exits"):
        child = multiprocessing.get_context("spawn").Process(target=work, args=(how,))
        child.start()
        child.join()
        print(child.exitcode)
"""


@pytest.mark.slow
def test_children_that_fail(tmp_path: Path) -> None:
    done = recorded(tmp_path, FAILING)
    assert done.stdout.split() == [b"1", b"3"]
    (tmp_path / "plain.py").write_text(FAILING)
    plain = python("plain.py", directory=tmp_path)
    assert plain.stdout == done.stdout
    found = rows(
        tmp_path / "kerasprov.db",
        "SELECT status, exception_type, exception FROM execution ORDER BY started_at",
    )
    assert [tuple(one.values()) for one in found] == [
        ("failed", "ValueError", "no"),
        ("interrupted", "SystemExit", "3"),
    ]


@pytest.mark.slow
def test_joblib_has_a_loky_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    (tmp_path / "work.py").write_text(TRAIN)
    script = """
import joblib
from work import train
if __name__ == "__main__":
    for pid, history, found in joblib.Parallel(2)(joblib.delayed(train)(u) for u in (2, 3)):
        print(pid, *map(repr, history))
"""
    done = recorded(tmp_path, script)
    assert done.returncode == 0, done.stderr.decode()
    assert losses(tmp_path / "kerasprov.db") == printed(done.stdout)


def test_a_child_that_cannot_import_us_takes_no_harm(tmp_path: Path) -> None:
    code = children.ARM.format(location=str(tmp_path), inherited={})
    (tmp_path / "pickled").write_bytes(pickle.dumps({"agent": children.Arming(code)}))
    program = (
        "import pickle, sys; path = list(sys.path);"
        "print(pickle.load(open('pickled', 'rb')), sys.path == path, 'kerasprov_agent' in sys.modules)"
    )
    done = python(
        "-S", "-E", "-P" if sys.version_info >= (3, 11) else "-B", "-c", program, directory=tmp_path
    )
    assert done.stdout.decode() == "{'agent': None} True False\n", done.stderr.decode()


def start(directory: Path, script: str, **variables: str) -> subprocess.Popen[bytes]:
    (directory / "train.py").write_text(script)
    return subprocess.Popen(
        [sys.executable, "-m", "kerasprov_agent", "train.py"],
        cwd=directory,
        env=clean_environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def job_of(directory: Path, environments: list[dict[str, str]]) -> None:
    """Workers of one job, at the same time; each waits until all have begun to train."""
    barrier = """
import os, time
class Wait(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        open(f"began-{os.environ['ME']}", "w").close()
        while len([n for n in os.listdir() if n.startswith("began-")]) < SIZE:
            time.sleep(0.05)
model.fit(x, y, epochs=3, verbose=0, callbacks=[Wait()])
"""
    script = TINY + barrier.replace("SIZE", str(len(environments)))
    workers = [start(directory, script, ME=str(i), **one) for i, one in enumerate(environments)]
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors.decode()
    for marker in directory.glob("began-*"):
        marker.unlink()


@pytest.mark.slow
def test_two_workers_by_rank_and_the_same_again(tmp_path: Path) -> None:
    address = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    environments = [{"RANK": str(rank), **address} for rank in range(2)]
    for _ in range(2):
        job_of(tmp_path, environments)
    database = tmp_path / "kerasprov.db"
    found = rows(database, "SELECT job, rank, world_size, role FROM execution ORDER BY job, rank")
    assert [tuple(one.values()) for one in found] == [
        (name, rank, 2, None)
        for name in ("launcher-localhost-29500", "launcher-localhost-29500#2")
        for rank in (0, 1)
    ]
    assert [(one["executions"], one["runs"]) for one in rows(database, "SELECT * FROM jobs")] == [
        (2, 2),
        (2, 2),
    ]
    assert len(rows(database, "SELECT * FROM epochs")) == 12


@pytest.mark.slow
def test_two_workers_by_tf_config(tmp_path: Path) -> None:
    cluster = {"chief": ["localhost:1"], "worker": ["localhost:2"]}
    environments = [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": task, "index": 0}})}
        for task in cluster
    ]
    job_of(tmp_path, environments)
    found = rows(tmp_path / "kerasprov.db", "SELECT * FROM execution ORDER BY rank")
    assert [(one["rank"], one["world_size"], one["role"]) for one in found] == [
        (0, 2, "chief"),
        (1, 2, "worker"),
    ]
    assert len({one["job"] for one in found}) == 1 and found[0]["job"].startswith("tensorflow-")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        ({"TF_CONFIG": "{"}, {}),
        ({"TF_CONFIG": "{}"}, {}),
        ({"RANK": "one", "WORLD_SIZE": "2"}, {}),
        (
            {"SLURM_JOB_ID": "12", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "4"},
            {"job": "slurm-12-0", "rank": 3, "world_size": 4, "role": None},
        ),
        (
            {"PMIX_NAMESPACE": "prte", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
            {"job": "mpi-prte", "rank": 1, "world_size": 2, "role": None},
        ),
        (
            {"KERASTUNER_ORACLE_IP": "10.0.0.1", "KERASTUNER_TUNER_ID": "tuner1"},
            {"job": "keras_tuner-10.0.0.1-", "rank": None, "world_size": None, "role": "tuner1"},
        ),
    ],
)
def test_what_launchers_say(environ: dict[str, str], expected: dict[str, Any]) -> None:
    assert job.job(environ) == expected


MIRRORED = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x = np.random.rand(64, 4).astype("float32")
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
history = model.fit(x, x.sum(1), epochs=2, verbose=0, batch_size=16, validation_split=0.25)
print(*map(repr, history.history["loss"]))
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow's")
def test_a_mirrored_strategy(tmp_path: Path) -> None:
    done = recorded(tmp_path, MIRRORED)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    params = rows(database, "SELECT name, value FROM params WHERE source = 'distribution'")
    found = {one["name"]: one["value"] for one in params}
    assert found["class_name"] == "MirroredStrategy" and found["replicas"] == 2
    assert [one[-5:] for one in json.loads(found["devices"])] == ["CPU:0", "CPU:1"]
    epochs = rows(database, "SELECT loss, steps FROM epoch ORDER BY epoch")
    assert [one["loss"] for one in epochs] == [float(v) for v in done.stdout.split()]
    assert {one["steps"] for one in epochs} == {3}
    assert row(database, "SELECT optimizer, samples FROM run") == {
        "optimizer": "Adam",
        "samples": 48,
    }


PARALLEL = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import keras, numpy as np
keras.distribution.set_distribution(keras.distribution.DataParallel())
x = np.random.rand(64, 4).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
print(*map(repr, model.fit(x, x.sum(1), epochs=2, verbose=0).history["loss"]))
"""


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a distribution of JAX's devices")
def test_keras_data_parallel(tmp_path: Path) -> None:
    done = recorded(tmp_path, PARALLEL, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    params = rows(database, "SELECT name, value FROM params WHERE source = 'distribution'")
    found = {one["name"]: one["value"] for one in params}
    assert found["class_name"] == "DataParallel" and found["replicas"] == 2
    assert json.loads(found["axis_names"]) == ["batch"] and json.loads(found["shape"]) == [2]
    assert len(json.loads(found["devices"])) == 2
    losses_ = [one["loss"] for one in rows(database, "SELECT loss FROM epoch ORDER BY epoch")]
    assert losses_ == [float(v) for v in done.stdout.split()]


def test_os_fork_knows_its_parent(tmp_path: Path) -> None:
    # TensorFlow hangs after a fork once it has computed something, with or without us.
    head = "import os, keras\nchild = os.fork()\n"
    tail = "model.fit(x, y, verbose=0)\nif child: os.waitpid(child, 0)\n"
    done = recorded(tmp_path, head + TINY + tail)
    assert done.returncode == 0, done.stderr.decode()
    executions = rows(tmp_path / "kerasprov.db", "SELECT * FROM execution ORDER BY parent_id")
    assert [one["parent_id"] for one in executions] == [None, executions[0]["id"]]
