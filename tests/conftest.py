"""Real trainings, real files, real processes; what several tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# A job in the background of a shell ignores Ctrl-C, and so would the programs it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if not find_spec("tensorflow") and "KERAS_BACKEND" not in os.environ:
    os.environ["KERAS_BACKEND"] = "jax" if find_spec("jax") else "torch"
os.environ.pop("COLUMNS", None)  # tables are as wide as in a pipe
os.environ["KERASPROV_DEBUG"] = "1"  # a fault of ours fails the test

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
SHARED = Path(os.environ.get("KERASPROV_SHARED", ROOT.parent / "shared"))
"""Test data and the PROV checker, where they are at hand."""

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs the project's shared test data (KERASPROV_SHARED)"
)


def clean_environment(**variables: str) -> dict[str, str]:
    """Our own variables as told, the rest as it is."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KERASPROV_")}
    return {**kept, **variables}


def rows(database: Path, query: str, *values: Any) -> list[dict[str, Any]]:
    """What a query returns, as dicts."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, values)]


def row(database: Path, query: str, *values: Any) -> dict[str, Any]:
    """The only row that a query returns."""
    found = rows(database, query, *values)
    assert len(found) == 1, found
    return found[0]


def python(
    *arguments: str | Path,
    directory: Path,
    variables: dict[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[bytes]:
    """Run this Python in a directory."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=directory,
        env=clean_environment(**(variables or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def kerasprov(*words: str | Path, env: dict[str, str] | None = None) -> Any:
    """Run the command in this process; its status, stdout and stderr."""
    from click.testing import CliRunner

    from kerasprov_agent.cli import main

    return CliRunner().invoke(main, [str(word) for word in words], env=env)


def recorded(
    directory: Path, script: str, *options: str, name: str = "train.py", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a script's text under the agent in a directory; its database is `kerasprov.db` there."""
    (directory / name).write_text(script)
    return python("-m", "kerasprov_agent", *options, name, directory=directory, variables=variables)


TINY = """
import keras, numpy as np
keras.utils.set_random_seed(3)
x = np.random.rand(64, 4).astype("float32")
y = (x.sum(1) > 2).astype("float32")
def build(units=8, activation="relu"):
    return keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(units, activation=activation),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
model = build()
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
"""
"""The beginning of many a training script: `x`, `y`, `build()` and a compiled `model`."""


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Record what happens in this process; gives the path of the database."""
    import kerasprov_agent

    database = tmp_path / "kerasprov.db"
    monkeypatch.setenv("KERASPROV_DB", str(database))
    monkeypatch.setenv("KERASPROV_NAME", "test")
    kerasprov_agent.stop()
    kerasprov_agent.start()
    yield database
    kerasprov_agent.stop()


def rest_is_slow(cases: Iterable[Any], *quick: Any) -> list[Any]:
    """The parameters of a test of which only some are tried where slow tests are left out."""
    cases = list(cases)
    assert set(quick) <= set(cases)
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A directory that `make` fills once, for all processes that the tests run in."""
    base = factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with open(f"{place}.made", "a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        if made.seek(0, os.SEEK_END) == 0:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            make(place)
            made.write("made")
    return place


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of `examples/digits.py`, recorded once; the documents lie beside it."""

    def make(directory: Path) -> None:
        done = python("-m", "kerasprov_agent", ROOT / "examples/digits.py", directory=directory)
        assert done.returncode == 0, done.stderr.decode()

    return made_once(tmp_path_factory, "digits", make) / "kerasprov.db"


@pytest.fixture(scope="session")
def check_prov() -> Callable[..., None]:
    """Fails unless the project's PROV checker says ok of a document."""
    checker = SHARED / "tools" / "check_prov.py"
    if not checker.exists():
        pytest.skip("needs the project's PROV checker (KERASPROV_SHARED)")

    def check(*documents: Path, options: Sequence[str] = ()) -> None:
        words = [sys.executable, str(checker), *options, *map(str, documents)]
        done = subprocess.run(words, capture_output=True, check=False)
        output = done.stdout.decode()
        assert done.returncode == 0, output + done.stderr.decode()
        assert output.count(": ok") == len(documents), output
        assert "J00" not in output and "P00" not in output, output

    return check
