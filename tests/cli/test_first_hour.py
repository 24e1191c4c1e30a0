"""What a new user asks of an ordinary study: a script with arguments, trained several times."""

from __future__ import annotations

import json
import re
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import TINY, clean_environment, kerasprov, made_once, python, rows

STUDY = (
    TINY.replace("import keras,", "import argparse, keras,")
    + """
parser = argparse.ArgumentParser()
parser.add_argument("--activation", default="relu")
parser.add_argument("--dropout", type=float)
parser.add_argument("--weight-decay", type=float)
parser.add_argument("--quick", action="store_true")
parser.add_argument("--layers", type=int, nargs="+")
parser.add_argument("data", nargs="*")
given = parser.parse_args()
model = keras.Sequential([
    keras.Input((4,)),
    keras.layers.Dense(8, activation=given.activation),
    keras.layers.Dropout(given.dropout),
    keras.layers.Dense(1, activation="sigmoid"),
])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
epochs = 4 if given.activation == "relu" else 2
model.fit(x, y, validation_split=0.25, epochs=epochs, verbose=0)
"""
)
WAYS = [(activation, dropout) for activation in ("relu", "tanh") for dropout in ("0.1", "0.3")]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four trainings, the last of them with a tag."""

    def make(place: Path) -> None:
        (place / "study.py").write_text(STUDY)
        for number, (activation, dropout) in enumerate(WAYS):
            words = ["--activation", activation, f"--dropout={dropout}", "--weight-decay", "1e-4"]
            words += ["--layers", "8", "1", "--quick", "--", "data.csv"]
            tags = {"KERASPROV_TAGS": f"group={number % 2}"}
            run = ("-m", "kerasprov_agent", "study.py", *words)
            done = python(*run, directory=place, variables=tags)
            assert done.returncode == 0, done.stderr.decode()

    return made_once(tmp_path_factory, "study", make) / "kerasprov.db"


def shown(study: Path, *words: str, width: int | None = None) -> str:
    """What a command prints in a pipe, or where `COLUMNS` tells a width."""
    done = subprocess.run(
        [sys.executable, "-c", "from kerasprov_agent.cli import main; main()", *words],
        env=clean_environment(
            KERASPROV_DB=str(study), **({"COLUMNS": str(width)} if width else {})
        ),
        capture_output=True,
        text=True,
        cwd=study.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_arguments_of_the_script_are_hyperparameters(study: Path) -> None:
    query = "SELECT name, value FROM params WHERE source = 'argument' AND run = 4"
    assert {one["name"]: one["value"] for one in rows(study, query)} == {
        "activation": "tanh", "dropout": 0.3, "weight_decay": 1e-4, "layers": "8 1", "quick": 1,
    }  # fmt: skip
    found = json.loads(
        kerasprov("runs", "--where", "weight_decay < 1e-3 and dropout = 0.3", "--columns",
                  "run,param.activation,tag.group", "--json", "--db", study).stdout
    )  # fmt: skip
    assert found == [
        {"run": 4, "param.activation": "tanh", "tag.group": 1},
        {"run": 2, "param.activation": "relu", "tag.group": 1},
    ]
    document = kerasprov("prov", "4", "--db", study).stdout
    assert "argument.weight_decay" in document


def test_runs_shows_what_varies(study: Path) -> None:
    told, header, *lines = shown(study, "runs").splitlines()
    assert told.startswith("all of them: ") and "optimizer Adam" in told
    assert "weight_decay 0.0001" in told and "batch_size 32" in told
    assert header.split()[:6] == ["run", "name", "activation", "dropout", "tag.group", "loss"]
    assert [line.split()[:4] for line in lines] == [
        [str(4 - n), f"study-{4 - n}" if n < 3 else "study", *way]
        for n, way in enumerate(reversed(WAYS))
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize(
    "words",
    [("runs",), ("show", "1"), ("best", "val_loss", "--top", "4"), ("diff", "1", "4"), ("config",),
     ("show", "1", "--layers"), ("show", "1", "--env"), ("query", "runs.*")],
)  # fmt: skip
def test_tables_fit_and_nothing_is_broken(study: Path, words: tuple[str, ...], width: int) -> None:
    text = shown(study, *words, width=width)
    assert max(map(len, text.splitlines())) <= width
    if words == ("runs",):
        # Those columns that are there are whole, and those that are not are named.
        header = next(line for line in text.splitlines() if line.startswith("run "))
        assert set(header.split()) <= {
            "run", "name", "activation", "dropout", "tag.group", "loss", "accuracy", "val_loss",
            "val_accuracy", "epochs", "took", "started",
        }  # fmt: skip
        assert len(re.findall(r"^ +\d  study|^ +\d  study-\d", text, re.MULTILINE)) == 4
        assert "left out for lack of room" in text or "started" in header


def test_the_best_for_several_hyperparameters(study: Path) -> None:
    words = ("best", "val_loss", "--by", "activation", "--by", "dropout", "--json")
    found = json.loads(kerasprov(*words, "--db", study).stdout)
    assert {(one["activation"], str(one["dropout"])) for one in found} == set(WAYS)
    tagged = json.loads(
        kerasprov("best", "loss", "--by", "tag.group", "--json", "--db", study).stdout
    )
    assert sorted(one["tag.group"] for one in tagged) == [0, 1]


def test_a_name_means_what_its_neighbours_mean(study: Path) -> None:
    question = "run, epoch, accuracy, loss, val_loss where val_loss < 99"
    done = kerasprov("query", question, "--json", "--db", study)
    found = json.loads(done.stdout)
    assert len(found) == 2 * (4 + 2) and all(isinstance(one["loss"], float) for one in found)
    told = kerasprov("query", question, "--db", study)
    assert "read as epochs.loss" in told.stderr
    of_run = json.loads(kerasprov("query", "run, loss", "--json", "--db", study).stdout)
    assert {one["loss"] for one in of_run} == {"binary_crossentropy"}


def test_the_ending_tells_the_format(study: Path, tmp_path: Path) -> None:
    for name, beginning in (("a.provn", "document"), ("a.dot", "digraph"), ("a", "{")):
        done = kerasprov("prov", "1", "-o", tmp_path / name, "--db", study)
        assert done.exit_code == 0, done.stderr
        assert (tmp_path / name).read_text().startswith(beginning)
    given = kerasprov("prov", "1", "--format", "provn", "-o", tmp_path / "b.json", "--db", study)
    assert given.exit_code == 0 and (tmp_path / "b.json").read_text().startswith("document")
    unknown = kerasprov("prov", "1", "-o", tmp_path / "a.docx", "--db", study)
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "a.docx").exists()


@pytest.mark.parametrize(
    "words",
    [("runs", "-n", "-3"), ("runs", "-n", "x"), ("best", "loss", "--top", "0"),
     ("best", "loss", "--by", "nonsense")],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line(study: Path, words: tuple[str, ...]) -> None:
    done = kerasprov(*words, "--db", study)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_mean_ends_where_the_first_of_its_runs_ends(study: Path, tmp_path: Path) -> None:
    words = ("plot", "--by", "dropout", "--metric", "loss", "--db", study)
    told = [
        one for one in json.loads(kerasprov(*words, "--json").stdout) if one["metric"] == "loss"
    ]
    assert [(one["group"], one["epoch"], one["runs"]) for one in told] == [
        (f"dropout {dropout}", epoch, 2 if epoch < 2 else 1)
        for dropout in ("0.1", "0.3")
        for epoch in range(4)
    ]
    drawn = kerasprov(*words).stdout
    axis = next(
        line for line in drawn.splitlines() if re.fullmatch(r"[\s\d]+", line) and line.strip()
    )
    assert axis.split() == ["0", "1"]
    assert "●● dropout 0.1" in drawn and "□□ dropout 0.3, validation" in drawn
    picture = tmp_path / "curves.svg"
    assert kerasprov(*words, "-o", picture).exit_code == 0
    assert "dropout 0.1, validation (n=2)" in picture.read_text()


def test_times_without_the_first_epochs(study: Path) -> None:
    def times(*words: str) -> list[dict[str, object]]:
        done = kerasprov("plot", "--time", "--by", "activation", *words, "--json", "--db", study)
        return [
            {**one, "seconds_per_epoch": pytest.approx(one["seconds_per_epoch"])}
            for one in json.loads(done.stdout)
        ]

    assert [one["epochs"] for one in times()] == [8, 4]
    assert times("--skip-first") == times("--where", "epoch > 0")
    (one,) = times("--where", "epoch > 0 and dropout = 0.3 and activation = 'tanh'")
    stored = rows(study, "SELECT seconds FROM epochs WHERE run = 4 AND epoch = 1")
    assert one["seconds_per_epoch"] == stored[0]["seconds"]
    done = kerasprov("plot", "--time", "--where", "epoch > 99", "--db", study)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_the_seed_is_called_seed(study: Path) -> None:
    words = ("runs", "--columns", "run,seed", "--where", "seed = 3", "--json", "--db", study)
    assert {one["seed"] for one in json.loads(kerasprov(*words).stdout)} == {3}


def test_names_that_differ_in_case_are_one_group(study: Path, tmp_path: Path) -> None:
    imported = tmp_path / "kerasprov.db"
    imported.write_bytes(study.read_bytes())
    with closing(sqlite3.connect(imported)) as connection, connection:
        connection.execute("UPDATE run SET optimizer = 'adam' WHERE number < 3")
    for words in (("best", "loss"), ("best", "loss", "--mean"), ("plot", "--time")):
        done = kerasprov(*words, "--by", "optimizer", "--json", "--db", imported)
        (one,) = json.loads(done.stdout)
        assert one.get("runs", 4) == 4


def test_times_have_their_zone(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    try:
        shown = kerasprov("show", "1", "--db", study).stdout
    finally:
        monkeypatch.undo()
        time.tzset()
    assert re.search(r"^started   \d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T\b", shown, re.MULTILINE)


def test_means_and_deviations_over_runs(study: Path) -> None:
    best = [
        one["best"]
        for one in rows(study, "SELECT min(loss) AS best FROM epochs GROUP BY run ORDER BY run")
    ]
    expected = [
        {"activation": name, "loss": pytest.approx(statistics.fmean(two)),
         "std": pytest.approx(statistics.stdev(two)), "runs": 2}
        for name, two in (("relu", best[:2]), ("tanh", best[2:]))
    ]  # fmt: skip
    told = kerasprov("best", "loss", "--by", "activation", "--mean", "--json", "--db", study)
    found = json.loads(told.stdout)
    assert sorted(found, key=lambda one: one["activation"]) == expected
    assert found[0]["loss"] <= found[1]["loss"]
    question = "runs.activation, std(epochs.loss), median(epochs.loss), count(epochs.loss)"
    told = kerasprov("query", question, "--json", "--db", study)
    for one in json.loads(told.stdout):
        query = "SELECT loss FROM epochs WHERE activation = ?"
        losses = [each["loss"] for each in rows(study, query, one["runs.activation"])]
        assert one["std(epochs.loss)"] == pytest.approx(statistics.stdev(losses))
        assert one["median(epochs.loss)"] == pytest.approx(statistics.median(losses))
        assert one["count(epochs.loss)"] == len(losses)
    found = json.loads(
        kerasprov("runs", "--where", "std(loss) >= 0", "--json", "--db", study).stdout
    )
    assert len(found) == 4
    without = kerasprov("best", "loss", "--mean", "--db", study)
    assert (without.exit_code, without.stderr.count("\n")) == (2, 1)


def test_diff_tells_only_what_differs(study: Path) -> None:
    found = json.loads(kerasprov("diff", "1", "4", "--json", "--db", study).stdout)
    assert list(found)[:3] == ["settings", "layers", "outcome"]
    one, other = "study", "study-4"
    assert found["layers"] == [
        {"name": "Dense 1 activation", one: "relu", other: "tanh"},
        {"name": "Dropout 1 dropout_rate", one: 0.1, other: 0.3},
    ]
    outcome = {row["name"]: row for row in found["outcome"]}
    losses = [one["loss"] for one in rows(study, "SELECT loss FROM epochs WHERE run = 1")]
    assert outcome["lowest loss"][one] == min(losses)
    assert outcome["highest loss"][one] == max(losses)
    assert outcome["last loss"][one] == losses[-1]
