"""A training is run again from its record alone, and compared with what was recorded."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kerasprov_agent.evidence.reproducing import compared
from tests.conftest import (
    SHARED,
    kerasprov,
    needs_shared,
    python,
    recorded,
    rest_is_slow,
    row,
    rows,
)

COMMAND = "from kerasprov_agent.cli import main; main()"


def again(study: Path, run: str, *words: str | Path, status: int = 0) -> str:
    """What `kerasprov reproduce` prints, in a process of its own: a training prints to stdout."""
    words = (run, "--db", study / "kerasprov.db", "-o", study.parent / "again", *words)
    done = python("-c", COMMAND, "reproduce", *words, directory=study.parent, timeout=900)
    assert done.returncode == status, (done.stdout + done.stderr).decode()
    assert b"Traceback" not in done.stderr or status
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("run", rest_is_slow(["train", "tune"], "train"))
def test_it_is_identical(study: Path, run: str) -> None:
    # The code of today is not the one that is run.
    for name in ("train.py", "shapes.py", "tune.py"):
        (study / name).write_text("raise SystemExit('not this')\n")
    before = (study / "model.keras").read_bytes()
    told = again(study, run, "--run", "--here")
    assert "Epoch by epoch identical, bit for bit" in told
    assert (study / "model.keras").read_bytes() == before, "the original is left alone"
    folder = study.parent / "again"
    assert "keras==" in (folder / "requirements.txt").read_text()
    assert (folder / "work" / f"{run}.py").read_text() != (study / f"{run}.py").read_text()
    assert row(folder / "reproduced.db", "SELECT status FROM runs")["status"] == "finished"


def test_a_dry_run_makes_nothing(study: Path) -> None:
    told = again(study, "train", "--dry-run")
    assert "python -m kerasprov_agent train.py" in told and "40 of 40 files" in told
    assert not (study.parent / "again").exists()


def test_changed_data_are_told_before_anything_is_trained(study: Path) -> None:
    content = bytearray((study / "small" / "07.npy").read_bytes())
    content[-1] ^= 1
    (study / "small" / "07.npy").write_bytes(content)
    told = again(study, "train", "--run", "--here", status=2)
    assert "small/07.npy is changed" in told and "nothing was trained" in told
    assert not (study.parent / "again").exists()
    # The folder is made all the same, if it is only to be looked at; it says what is amiss.
    again(study, "train")
    assert "07.npy is changed" in (study.parent / "again" / "README.md").read_text()
    assert not (study.parent / "again" / "work" / "small" / "07.npy").exists()


@pytest.mark.slow
def test_moved_data_are_linked(study: Path) -> None:
    (study / "small").rename(study.parent / "moved")
    assert "is gone" in again(study, "train", "--run", "--here", status=2)
    told = again(study, "train", "--run", "--here", "--search", study.parent / "moved")
    assert "identical" in told


RESUMED = """
import os, keras, numpy as np
keras.utils.set_random_seed(5)
if not os.path.exists("start.npy"):
    raise SystemExit("nothing to start from")
x = np.load("start.npy")
np.save("start.npy", x)
np.save("own.npy", x)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.load("own.npy"), x.sum(1), epochs=2, verbose=0)
"""


@pytest.mark.slow
def test_what_it_reads_and_writes_again_is_copied(tmp_path: Path) -> None:
    """A link would lead the program to the original."""
    place = tmp_path / "place"
    place.mkdir()
    make = "import numpy as np; np.save('start.npy', np.ones((12, 4), 'float32'))"
    assert python("-c", make, directory=place).returncode == 0
    assert recorded(place, RESUMED, "--prov", "off", name="resumed.py").returncode == 0
    before = (place / "start.npy").stat().st_mtime_ns
    content = (place / "start.npy").read_bytes()
    with closing(sqlite3.connect(place / "kerasprov.db")) as connection:
        # The program may have written over it before it was hashed.
        connection.execute(
            "UPDATE file SET sha256 = ?, bytes = ? WHERE path LIKE '%start.npy' "
            "AND written_at IS NULL",
            (hashlib.sha256(content).hexdigest(), len(content)),
        )
        connection.commit()
    assert "1 of 1 files" in again(place, "last", "--dry-run")
    assert "identical" in again(place, "last", "--run", "--here")
    assert (place / "start.npy").stat().st_mtime_ns == before
    assert not (tmp_path / "again" / "work" / "start.npy").is_symlink()


UNSEEDED = """
import sys, keras, numpy as np
x = np.linspace(0, 1, 40, dtype="float32").reshape(10, 4)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, x.sum(1), epochs=2, verbose=0)
"""


@pytest.mark.slow
def test_what_is_different_is_said(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    assert recorded(place, UNSEEDED, "--prov", "off", name="unseeded.py").returncode == 0
    told = again(place, "last", "--run", "--here", status=1)
    assert "Epoch by epoch different:" in told and "loss of epoch" in told
    import shutil

    shutil.rmtree(tmp_path / "again")
    with closing(sqlite3.connect(place / "kerasprov.db")) as connection:
        connection.execute("UPDATE package SET version = '0.0.1' WHERE name = 'click'")
        connection.execute("UPDATE package SET packages_sha256 = 'of another set'")
        connection.execute("UPDATE execution SET packages_sha256 = 'of another set'")
        connection.commit()
    told = again(place, "last", "--run", "--here", "--tolerance", "1e6")
    assert "the same within 1e+06" in told and "packages that differ:" in told and "click" in told
    assert "click==0.0.1" in (tmp_path / "again" / "requirements.txt").read_text()


PACKAGE = """
import sys
from . import shapes
import keras, numpy as np
keras.utils.set_random_seed(int(sys.argv[2]))
x = np.load(sys.argv[1])
model = shapes.build()
model.fit(x, x.sum(1), epochs=1, verbose=0)
model.save(sys.argv[3])
"""
SHAPES = """
import keras
def build():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
"""


@pytest.mark.slow
def test_a_package_with_arguments_and_absolute_paths(tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "package").mkdir(parents=True)
    (place / "package" / "__init__.py").write_text("")
    (place / "package" / "train.py").write_text(PACKAGE)
    (place / "package" / "shapes.py").write_text(SHAPES)
    make = "import numpy as np; np.save('x.npy', np.ones((12, 4), 'float32'))"
    assert python("-c", make, directory=place).returncode == 0
    words = ("-m", "kerasprov_agent", "--prov", "off", "-m", "package.train")
    done = python(*words, place / "x.npy", "7", place / "out.keras", directory=place)
    assert done.returncode == 0, done.stderr.decode()
    before = (place / "out.keras").stat().st_mtime_ns
    assert "identical" in again(place, "last", "--run", "--here")
    assert (place / "out.keras").stat().st_mtime_ns == before
    assert (tmp_path / "again" / "work" / "out.keras").exists()
    # What it wrote outside of its folder would be written over.
    done = python(*words, place / "x.npy", "7", tmp_path / "outside.keras", directory=place)
    assert done.returncode == 0
    import shutil

    shutil.rmtree(tmp_path / "again")
    told = again(place, "last", "--run", "--here", status=2)
    assert "outside.keras again, which lies outside of its folder" in told


@pytest.mark.slow
def test_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.delenv("KERASPROV_DB", raising=False)
    place = tmp_path / "place"
    place.mkdir()
    cells = ["import kerasprov_agent\nimport keras, numpy as np", "%time 1 + 1",
             "keras.utils.set_random_seed(5)\n" + UNSEEDED.partition("np\n")[2]]  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(place)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", resources=resources).execute()
    assert "identical" in again(place, "last", "--run", "--here")
    assert "# In [3]" in (tmp_path / "again" / "work" / "notebook.py").read_text()


@pytest.mark.slow
def test_the_example(digits: Path, tmp_path: Path) -> None:
    """README's example, on this machine; with one thread, so that it is deterministic."""
    words = ("reproduce", "last", "--db", digits, "-o", tmp_path / "again", "--run", "--here",
             "--tolerance", "1e-3")  # fmt: skip
    done = python("-c", COMMAND, *words, directory=tmp_path, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert b"Epoch by epoch identical" in done.stdout or b"the same within" in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "same", "told"),
    [
        ([{"loss": 1.0}], [{"loss": 1.0}], 0.0, True, "identical, bit for bit: 1 epochs"),
        ([{"loss": float("nan")}], [{"loss": float("nan")}], 0.0, True, "identical"),
        ([{"loss": 1.0}], [{"loss": 1.0000001}], 0.0, False, "different: "),
        ([{"loss": 1.0}], [{"loss": 1.0000001}], 1e-6, True, "the same within 1e-06: at most 1e-07"),
        ([{"loss": 1.0}], [{"loss": 1.1}], 1e-6, False, "loss of epoch 0 was 1.0, is 1.1"),
        ([{"loss": 1.0}], [{}], 9.0, False, "loss of epoch 0 was 1.0, is None"),
        ([{"loss": 1.0}], [{"loss": float("inf")}], 9.0, False, "is inf"),
        ([{"loss": 1.0}], [], 9.0, False, "1 epochs then, 0 now"),
        ([], [], 0.0, True, "identical"),
    ],
)  # fmt: skip
def test_epochs_are_compared(
    before: list, after: list, tolerance: float, same: bool, told: str
) -> None:
    epochs = [[{"epoch": n, "metrics": m} for n, m in enumerate(each)] for each in (before, after)]
    outcome = compared(*epochs, tolerance)
    assert outcome.same is same and told in outcome.told


@needs_shared
def test_bad_input_is_one_line(study: Path, tmp_path: Path) -> None:
    database = study / "kerasprov.db"
    dump = SHARED / "data" / "ancestor" / "keras-prov-dump2.sql"
    assert kerasprov("import", dump, "--db", tmp_path / "old.db").exit_code == 0
    (tmp_path / "there").mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "UPDATE execution SET arguments = '[\"--token\", \"[redacted]\"]' WHERE label = 'tune'"
        )
        connection.commit()
    for words, told in (
        (["nobody", "--db", database], "no run 'nobody'"),
        (["1", "--db", tmp_path / "old.db"], "has no code in the record"),
        (["train", "--db", database, "-o", tmp_path / "there"], "is there already"),
        (["train", "--db", database, "--here"], "--here is for --run"),
        (["train", "--db", database, "--search", tmp_path / "nowhere"], "is no folder"),
        (["train", "--db", database, "--tolerance", "-1"], "--tolerance"),
    ):
        done = kerasprov("reproduce", *words)
        assert done.exit_code == 2 and told in done.stderr, (words, done.output)
        assert done.stderr.count("\n") == 1
    words = ("reproduce", "tune", "--db", database, "-o", tmp_path / "tune", "--run", "--here")
    done = kerasprov(*words)
    assert done.exit_code == 2 and "looks like a secret: write it into run.sh" in done.stdout
    assert not (tmp_path / "tune").exists()


@pytest.mark.slow
def test_a_package_that_the_index_has_no_more(study: Path) -> None:
    with closing(sqlite3.connect(study / "kerasprov.db")) as connection:
        connection.execute("DELETE FROM package WHERE name <> 'click'")
        connection.execute("UPDATE package SET version = '0.0.99'")
        connection.commit()
    told = again(study, "train", "--run", status=2)
    assert "its packages can't be had: No matching distribution found for click==0.0.99" in told
    assert rows(study / "kerasprov.db", "SELECT count(*) AS n FROM runs") == [{"n": 2}]
