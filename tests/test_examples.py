"""The examples run as they stand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, SHARED, kerasprov, python, rows

FLOWERS = ROOT / "examples" / "flowers"
PICTURES = SHARED / "data" / "flowers17"


@pytest.mark.slow
def test_the_study_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    words = (FLOWERS / "study.py", "--tiny", "--data", "no-such-folder", "--most")
    for most, names in ((1, ["relu"]), (2, ["relu", "elu", "selu"])):
        done = python(*words, str(most), directory=tmp_path, timeout=1200)
        assert done.returncode == 0, done.stderr.decode()
        assert b"flowers of 5 kinds were drawn" in done.stdout
        query = "SELECT activation, status, script FROM runs ORDER BY run"
        found = rows(tmp_path / "kerasprov.db", query)
        assert [row["activation"] for row in found] == names
        assert {row["status"] for row in found} == {"finished"}
        assert {Path(row["script"]).name for row in found} == {"alexnet.py"}
    # The pictures led to each of the trainings.
    query = "SELECT count(*) AS n FROM files WHERE path LIKE '%flowers.npz'"
    assert rows(tmp_path / "kerasprov.db", query)[0]["n"] >= 4


@pytest.mark.slow
def test_two_halves_of_the_study_are_gathered(tmp_path: Path) -> None:
    """Wherever the pictures lie: they are known by their content."""
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        words = (FLOWERS / "study.py", "--tiny", "--part", f"{number}/2", "--most", "1")
        done = python(*words, directory=tmp_path / str(number), timeout=1200)
        assert done.returncode == 0, done.stderr.decode()
    gathered = tmp_path / "1" / "kerasprov.db"
    done = kerasprov("merge", tmp_path / "2" / "kerasprov.db", "--db", gathered)
    assert done.exit_code == 0, done.output
    words = (FLOWERS / "study.py", "--tiny", "--most", "1")
    done = python(*words, directory=tmp_path / "1", timeout=1200)
    assert done.returncode == 0, done.stderr.decode()
    found = rows(gathered, "SELECT activation FROM runs ORDER BY run")
    assert [row["activation"] for row in found] == ["relu", "elu", "selu"]


@pytest.mark.slow
def test_densenet_says_which_weights_it_has(tmp_path: Path) -> None:
    done = python(FLOWERS / "prepare.py", "--size", "32", directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    words = (
        "-m",
        "kerasprov_agent",
        FLOWERS / "densenet.py",
        "--epochs",
        "1",
        "--output",
        "m.keras",
    )
    variables = {"KERAS_HOME": str(tmp_path / "empty")}
    done = python(*words, directory=tmp_path, timeout=1200, variables=variables)
    assert done.returncode == 0, done.stderr.decode()
    assert b"the base has random weights" in done.stdout and b"test accuracy" in done.stdout
    assert rows(tmp_path / "kerasprov.db", "SELECT model, dropout FROM runs")[0]["dropout"] == 0.4


@pytest.mark.slow
def test_real_flowers_become_arrays(tmp_path: Path) -> None:
    if not PICTURES.is_dir():
        pytest.skip("the Oxford 17 flowers are not on this machine")
    words = (FLOWERS / "prepare.py", "--data", PICTURES, "--size", "16")
    done = python(*words, directory=tmp_path)
    assert done.returncode == 0 and b"1360 pictures of 17 kinds" in done.stdout, done.stderr


NETWORK = """
import keras
from flowers import arguments, load, train
given = arguments()
keras.utils.set_random_seed(given.seed)
training, validation, test = load(given.data)
model = keras.Sequential([
    keras.Input(training[0].shape[1:]), keras.layers.Conv2D(4, 3, 8, activation=given.activation),
    keras.layers.Flatten(), keras.layers.Dropout(given.dropout),
    keras.layers.Dense(5, activation="softmax")])
train(model, given, training, validation, test)
"""


@pytest.mark.slow
def test_the_study_is_analysed_as_its_page_and_its_notebook_say(tmp_path: Path) -> None:
    """Half of the grid, with networks of one convolution in the place of AlexNet and DenseNet."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    code, study, made = tmp_path / "code", tmp_path / "study", tmp_path / "made"
    shutil.copytree(FLOWERS, code)
    study.mkdir()
    for name in ("alexnet.py", "densenet.py"):
        (code / name).write_text(NETWORK)
    for trained in (b"13 trainings, of which 0 failed", b"0 trainings, of which 0 failed"):
        words = (code / "study.py", "--small", "--part", "1/2")
        done = python(*words, directory=study, timeout=3000)
        assert done.returncode == 0 and trained in done.stdout, done.stderr.decode()

    words = (ROOT / "docs/case_study.py", study, "--output", tmp_path / "page.md")
    done = python(*words, "--images", made, "--as", f"{study}=/home/ada", directory=study)
    assert done.returncode == 0, done.stderr.decode()
    page = (tmp_path / "page.md").read_text()
    shown = (ROOT / "docs" / "case-study.md").read_text()
    outlines = [
        re.findall("^(?:#|```sh|kerasprov).*", text, re.MULTILINE) for text in (page, shown)
    ]
    assert outlines[0] == outlines[1]
    answers = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert len(answers) == 10 and all(answer.count("\n") > 2 for answer in answers)
    assert "/home/ada/flowers.npz" in page and str(study) not in page
    pictures = set(re.findall(r"images/case-study/(\w+\.png)", page))
    assert pictures == {path.name for path in made.iterdir()} and len(pictures) == 4

    notebook = nbformat.read(FLOWERS / "study.ipynb", 4)
    place = {"metadata": {"path": str(study)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", resources=place).execute()
    shown_as = [kind for cell in notebook.cells for out in cell.get("outputs", ())
                for kind in out.get("data", ())]  # fmt: skip
    assert shown_as.count("text/html") >= 6 and shown_as.count("image/png") == 1
