"""A model card says what is recorded, and says what is not known."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from kerasprov_agent.evidence import defaults, markdown
from tests.conftest import SHARED, kerasprov, needs_shared, row, rows

CLASSIFY = """
import keras, numpy as np
np.savez("data.npz", x=np.random.default_rng(1).random((60, 4), dtype="float32"), y=np.arange(60) % 3)
data = np.load("data.npz")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
model.compile(keras.optimizers.Adam(0.003, beta_1=0.8), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(data["x"][:40], data["y"][:40], epochs=4, verbose=0, validation_data=(data["x"][40:], data["y"][40:]),
          callbacks=[keras.callbacks.EarlyStopping(patience=9)])
model.evaluate(data["x"][40:], data["y"][40:], verbose=0)
model.save("kinds.keras")
"""


def card(database: Path, *words: str | Path) -> str:
    done = kerasprov("card", *words, "--db", database)
    assert done.exit_code == 0, done.output
    assert "None" not in done.stdout and "nan" not in done.stdout.lower().split()
    return done.stdout


def header(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_what_is_recorded_is_said(tmp_path: Path) -> None:
    from tests.conftest import recorded

    assert recorded(tmp_path, CLASSIFY, "--prov", "off", name="kinds.py").returncode == 0
    database = tmp_path / "kerasprov.db"
    text = card(database, tmp_path / "kinds.keras")
    known = header(text)
    assert known["library_name"] == "keras" and "classification" in known["tags"]
    (found,) = known["model-index"]
    metrics = {one["type"]: one["value"] for one in found["results"][0]["metrics"]}
    tested = row(database, "SELECT loss, accuracy FROM evaluations")
    assert metrics == dict(tested) and found["name"] == "kinds.keras"
    assert "classification among 3 classes" in text and "1, 15" in text
    for name in ("data.npz", "kinds.keras"):
        (file,) = rows(database, f"SELECT DISTINCT sha256 FROM files WHERE path LIKE '%{name}'")
        assert file["sha256"] in text
    assert "| training | 40 |" in text and "| validation | 20 |" in text
    # What was chosen stands in the table, what Keras takes by itself below.
    chosen = text.partition("## Settings")[2].partition("Left as Keras has them")[0]
    assert all(f"| {name} |" in chosen for name in ("epochs", r"beta\_1", r"learning\_rate"))
    assert r"beta\_2" not in chosen and "`optimizer.beta_2`" in text
    assert "EarlyStopping" in text and "History" not in text
    assert "trained from scratch" in text and "the same memory" in text
    assert text.count("_not known_") >= 3 and "Licence of the model" in text
    assert re.search(r"\| accuracy \| 0\.\d+ \| [▁-█]{4} \|", text)
    assert row(database, "SELECT id FROM runs")["id"] in text


def test_a_tuned_model_names_its_whole_ancestry(study: Path) -> None:
    text = card(study / "kerasprov.db", study / "tuned.keras")
    came = text.partition("## Where it came from")[2].partition("## ")[0]
    assert "`train.py`" in came and "`tune.py`" in came and "model.keras" in came
    assert "tuned.keras" not in came
    own = text.partition("Its files")[2].partition("## ")[0]
    assert "tuned.keras" in own and "/model.keras" not in own
    assert "40 files" in text and "regression" in text
    assert "not tested on other data" in text  # the second program tested nothing
    assert "not tested" not in card(study / "kerasprov.db", study / "model.keras")


def test_ordered_by_annex_iv(study: Path) -> None:
    text = card(study / "kerasprov.db", "last", "--annex-iv")
    headings = re.findall("^## 2 \\((.)\\)", text, re.MULTILINE)
    assert headings == list("abcdefgh")
    usual = card(study / "kerasprov.db", "last")
    tables = [{line for line in t.splitlines() if line.startswith("| ")} for t in (text, usual)]
    assert tables[0] == tables[1], "the same facts"


def test_as_files(study: Path) -> None:
    database = study / "kerasprov.db"
    for name in ("card.md", "card.html"):
        card(database, "last", "-o", study / name)
    page = (study / "card.html").read_text()
    assert page.startswith("<!doctype html>") and "<table>" in page and "<script" not in page
    assert "<title>tune</title>" in page and "library_name" not in page
    assert (study / "card.md").read_text() == card(database, "last")


HOSTILE = "a|b `c` <script>alert(1)</script> ](http://x) \x1b[31m\n---\n# no: heading {{x}} *d*"


def test_hostile_names_are_text(study: Path) -> None:
    database = study / "kerasprov.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE run SET name = ? WHERE number = 2", (HOSTILE,))
        connection.execute("UPDATE execution SET user = ?, cpu = ?", (HOSTILE, HOSTILE))
        connection.execute("UPDATE file SET path = path || ? WHERE role = 'model'", (HOSTILE,))
        connection.execute("UPDATE param SET value = ? WHERE name = 'verbose'", (HOSTILE,))
        connection.execute("UPDATE callback SET settings = ?", (json.dumps([HOSTILE]),))
        connection.commit()
    text = card(database, "2")
    assert "\x1b" not in text and "\n# no: heading" not in text
    assert header(text)["library_name"] == "keras"
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text.split("---\n", 2)[2])
    assert [t.tag for t in tokens if t.type == "heading_open"].count("h1") == 1
    columns = [t.map for t in tokens if t.type == "table_open"]
    assert len(columns) >= 9
    card(database, "2", "-o", study / "card.html")
    page = (study / "card.html").read_text()
    assert "<script" not in page and "<a " not in page and "<em>d" not in page


@pytest.mark.parametrize("text", [HOSTILE, "`", "``", "a`", "|", "\\", "x" * 300, "", "ש", " a "])
def test_any_text_is_one_cell(text: str) -> None:
    for form in (markdown.plain, markdown.code):
        lines = markdown.table(("a", "b"), [(form(text), "end")])
        page = markdown.page("t", "\n".join(lines))
        cells = re.findall("<td>(.*?)</td>", page)
        assert len(cells) == 2 and cells[1] == "end", page


@needs_shared
def test_a_card_says_which_data_were_used_for_what(study: Path) -> None:
    text = card(study / "kerasprov.db", study / "tuned.keras")
    data = text.partition("## Training data")[2].partition("How the steps")[0]
    lines = {line.split(" | ")[1]: line for line in data.splitlines() if str(study) in line}
    (picture,) = [line for path, line in lines.items() if path.endswith("raw/00.npy`")]
    assert picture.startswith("| training data of tune |")
    assert hashlib.sha256((study / "raw/00.npy").read_bytes()).hexdigest() in picture
    (small,) = [line for path, line in lines.items() if "small" in path]
    assert small.startswith("| training data of train, test data of train |")
    assert "40 files" in small and "of their list" in small
    layers = text.partition("## Architecture")[2].partition("##")[0]
    classes = [line.split(" | ")[1] for line in layers.splitlines()[4:7]]
    assert classes == ["Dense", "Dropout", "Dense"]


def test_what_was_imported_has_a_card(tmp_path: Path) -> None:
    database = tmp_path / "kerasprov.db"
    names = ("keras-prov-dump2.sql", "dlprov-mnist-example.json")
    dumps = [SHARED / "data" / "ancestor" / name for name in names]
    assert kerasprov("import", *dumps, "--db", database).exit_code == 0
    for found in rows(database, "SELECT run FROM runs"):
        text = card(database, str(found["run"]))
        assert header(text)["library_name"] == "keras" and "_not known_" in text


def test_the_defaults_are_those_of_keras() -> None:
    import keras

    for name, known in defaults.OPTIMIZERS.items():
        config = getattr(keras.optimizers, name)().get_config()
        for setting, value in {**defaults.OPTIMIZER, **known}.items():
            assert defaults.is_default({setting: value}, setting, config[setting]), (name, setting)
    import inspect

    parameters = inspect.signature(keras.Model.fit).parameters
    for setting, value in defaults.FIT.items():
        assert parameters[setting].default == value, setting


def test_bad_input_is_one_line(study: Path, tmp_path: Path) -> None:
    (tmp_path / "unknown.keras").write_bytes(b"never recorded")
    for words, told in (
        ([tmp_path / "unknown.keras"], "nothing recorded of"),
        (["nobody"], "nothing recorded of 'nobody'"),
        ([study / "raw" / "01.npy"], "no training is recorded that led to that"),
        (["last", "-o", tmp_path / "card.pdf"], "must end in .md or .html"),
        (["last", "-o", tmp_path / "nowhere" / "card.md"], "nowhere"),
    ):
        done = kerasprov("card", *words, "--db", study / "kerasprov.db")
        assert done.exit_code == 2 and told in done.stderr, done.output
        assert done.stderr.count("\n") == 1 and not done.stdout
    assert not (tmp_path / "card.pdf").exists() and not (tmp_path / "nowhere").exists()
