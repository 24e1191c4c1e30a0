"""The data of the pages, without a browser."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.questions import compile_question
from kerasprov_agent.read.record import open_record
from kerasprov_agent.viewer import pages
from kerasprov_agent.viewer.pages.values import numbers, plain
from tests.conftest import ROOT, rows
from tests.viewer.conftest import RUNS


def data(db: Path, name: str, **arguments: Any) -> Any:
    """What a page's function gives, through JSON as the browser gets it."""
    with open_record(str(db)) as record:
        value = getattr(pages, name)(record, **arguments)
    return json.loads(json.dumps(value, allow_nan=False))


def column(table: Any, name: str) -> list[Any]:
    place = table["columns"].index(name)
    return [row[place] for row in table["rows"]]


def test_runs_show_what_they_differ_in(study: Path) -> None:
    found = data(study, "runs")
    assert found["total"] == found["all"] == RUNS
    assert column(found, "run") == list(range(RUNS, 0, -1))
    assert {"learning_rate", "activation", "epochs", "script"} <= set(found["varying"])
    assert "optimizer" not in found["columns"] and "backend" not in found["columns"]
    last = rows(study, "SELECT loss FROM epoch WHERE run = 1 ORDER BY epoch DESC LIMIT 1")
    assert column(found, "loss")[-1] == last[0]["loss"]


def test_runs_by_windows_conditions_and_order(study: Path) -> None:
    found = data(study, "runs", where="activation = 'tanh'", sort="-learning_rate", limit=2)
    assert found["total"] == 5 and found["all"] == RUNS and len(found["rows"]) == 2
    assert set(column(found, "learning_rate")) == {0.5}
    rest = data(study, "runs", where="activation = 'tanh'", sort="-learning_rate", offset=2)
    assert len(rest["rows"]) == 3 and not set(column(found, "run")) & set(column(rest, "run"))
    chosen = data(study, "runs", columns=["run", "val_loss", "batch_size"])
    assert chosen["columns"] == ["run", "val_loss", "batch_size"] and len(chosen["rows"]) == RUNS
    with pytest.raises(KerasProvError, match="activatoin"):
        data(study, "runs", where="activatoin = 'tanh'")


def test_curves_are_the_epochs(study: Path) -> None:
    (found,) = data(study, "curves", runs=[2])["runs"]
    stored = rows(study, "SELECT * FROM epochs WHERE run = 2 ORDER BY epoch")
    assert found["epoch"] == [row["epoch"] for row in stored]
    assert found["metrics"]["val_loss"] == [row["val_loss"] for row in stored]
    assert found["seconds"] == sorted(found["seconds"]) and found["seconds"][0] > 0
    assert found["clock"] == pytest.approx([row["started_at"] + row["seconds"] for row in stored])
    (later,) = data(study, "curves", runs=[2], metrics=["loss"], after=1)["runs"]
    assert later["epoch"] == [2, 3] and set(later["metrics"]) == {"loss", "val_loss"}
    with pytest.raises(KerasProvError, match="no run 99"):
        data(study, "curves", runs=[1, 99])


def test_nan_is_told(study: Path) -> None:
    (found,) = data(study, "curves", runs=[RUNS])["runs"]
    assert found["metrics"]["loss"] == ["NaN"]


def test_groups_are_means_of_all_their_runs(study: Path) -> None:
    found = data(study, "groups", by="activation", metrics=["loss"], where="epochs = 4")
    assert [(group["value"], group["runs"]) for group in found["groups"]] == [
        ("relu", [3, 2, 1]), ("tanh", [6, 5, 4]),
    ]  # fmt: skip
    measured = found["groups"][0]["metrics"]["loss"]
    values = [row["loss"] for row in rows(study, "SELECT loss FROM epoch WHERE run < 4 AND epoch = 2")]  # fmt: skip
    mean = sum(values) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
    assert measured["epoch"] == [0, 1, 2, 3] and measured["count"] == [3] * 4
    assert measured["mean"][2] == pytest.approx(mean)
    assert measured["deviation"][2] == pytest.approx(deviation, rel=1e-6)
    assert found["summary"]["columns"] == [
        "activation", "metric", "mean", "deviation", "least", "greatest", "runs",
    ]  # fmt: skip
    last = rows(study, "SELECT loss FROM epoch WHERE run < 4 AND epoch = 3")
    row = found["summary"]["rows"][0]
    assert row[2] == pytest.approx(sum(one["loss"] for one in last) / 3) and row[6] == 3
    assert row[4] == min(one["loss"] for one in last)
    with pytest.raises(KerasProvError, match="no run has"):
        data(study, "groups", by="colour", metrics=["loss"])


def test_a_run_has_all_that_belongs_to_it(study: Path) -> None:
    found = data(study, "run", run="6")
    assert found["facts"]["run"] == 6 and found["facts"]["status"] == "finished"
    tables = found["tables"]
    assert column(tables["layers"], "class_name") == ["Dense", "Dense"]
    assert len(tables["epochs"]["rows"]) == 4
    assert len(tables["evaluations"]["rows"]) == 1
    assert any("data.npz" in str(path) for path in column(tables["files"], "path"))
    assert data(study, "code", run="6")["parts"][0]["text"].startswith("\nimport keras")


def test_comparison_has_only_what_differs(study: Path) -> None:
    found = data(study, "comparison", runs=[1, 2, 7])
    assert "learning_rate" in column(found["sections"]["settings"], "name")
    assert "batch_size" in column(found["sections"]["settings"], "name")
    assert "optimizer" not in column(found["sections"]["settings"], "name")
    assert any(part["diff"] for part in found["code"])
    for runs in ([1], [1, 2, 3, 4, 5, 6]):
        with pytest.raises(KerasProvError, match="two to 5"):
            data(study, "comparison", runs=runs)


def test_lineage_goes_hop_by_hop_across_programs(study: Path) -> None:
    near = data(study, "lineage", of="7", hops=1)
    far = data(study, "lineage", of="7", hops=20)
    assert near["shown"] < far["shown"] == far["total"] == near["total"]
    labels = {node["label"].partition("\n")[0] for node in far["nodes"]}
    assert {"model.keras", "data.npz"} <= labels
    assert any(node["hidden"] for node in near["nodes"])
    ids = {node["id"] for node in far["nodes"]}
    assert all(edge["from"] in ids and edge["to"] in ids for edge in far["edges"])
    kinds = {edge["kind"] for edge in far["edges"]}
    assert {"used", "wasGeneratedBy", "wasDerivedFrom"} <= kinds
    assert "alternateOf" not in kinds, "files of one content are one node"
    types = {node["id"]: node["type"] for node in far["nodes"]}
    for edge in far["edges"]:
        ends = types[edge["from"]], types[edge["to"]]
        assert ends == {
            "used": ("activity", "entity"), "wasGeneratedBy": ("entity", "activity"),
        }.get(edge["kind"], ("entity", "entity"))  # fmt: skip
    (raw,) = [node for node in far["nodes"] if node["label"].startswith("data.npz")]
    assert raw["raw"] and raw["folded"] == len(raw["members"]) == 2
    assert raw["label"] == "data.npz\n2 times, the same content"
    hidden = next(node for node in near["nodes"] if node["hidden"])
    opened = data(study, "lineage", of="7", hops=1, opened=" ".join(hidden["opens"]))
    assert opened["shown"] > near["shown"]
    apart = data(study, "lineage", of="7", hops=20, unfolded=raw["id"])
    assert sum(node["label"] == "data.npz" for node in apart["nodes"]) == 2
    assert "alternateOf" in {edge["kind"] for edge in apart["edges"]}
    with pytest.raises(KerasProvError):
        data(study, "lineage", of="no-such-file")


def test_runs_of_a_script_are_one_node_in_lineage(study: Path, made_study: Path) -> None:
    data_file = str(made_study / "data.npz")
    found = data(study, "lineage", of=data_file, hops=20)
    (fits,) = [node for node in found["nodes"] if node["kind"] == "fit" and node["folded"]]
    # The model of the sixth run was saved and tuned, so this run stands by itself.
    assert fits["label"] == "5 × fit\nstudy.py"
    assert sorted(member["run"] for member in fits["members"]) == [1, 2, 3, 4, 5]
    assert 6 in {node["run"] for node in found["nodes"]}
    folded = {node["kind"]: node["folded"] for node in found["nodes"] if node["folded"]}
    assert folded == {"fit": 5, "model": 5, "dataset": 5, "file": 2}
    apart = data(study, "lineage", of=data_file, hops=20, unfolded=fits["id"])
    assert {node["run"] for node in apart["nodes"]} >= {1, 2, 3, 4, 5, 6}
    assert apart["shown"] == found["shown"] == found["total"]
    # A run that is asked about is shown by itself, with what it came of.
    of_one = data(study, "lineage", of="3", hops=20, opened=found["nodes"][0]["id"])
    assert 3 in {node["run"] for node in of_one["nodes"]}


def test_entities_are_those_that_hold_data(study: Path) -> None:
    found = {entity["name"]: entity for entity in data(study, "entities")["entities"]}
    assert found["runs"]["count"] == RUNS and "trials" not in found
    columns = {column["name"]: column for column in found["runs"]["columns"]}
    assert columns["activation"]["values"] == ["relu", "tanh"]
    assert columns["learning_rate"]["least"] == 0.01 and "job" not in columns


def test_an_answer_has_its_rows_and_its_sql(study: Path) -> None:
    found = data(study, "answer", question="run, epoch, val_loss where val_loss < 0.72 and run < 4")
    expected = rows(
        study, "SELECT run, epoch, val_loss FROM epoch WHERE val_loss < 0.72 AND run < 4"
    )
    assert sorted(found["rows"]) == sorted(list(row.values()) for row in expected)
    assert found["total"] == len(expected) and found["all"] == 27
    assert found["values"] == [0.72, 4] and "?" in found["sql"]
    assert sorted(map(list, (row.values() for row in rows(study, found["full"])))) == sorted(found["rows"])  # fmt: skip


def test_an_empty_answer_names_the_condition(study: Path) -> None:
    question = "run where epochs = 4 and learning_rate > 5 and activation = 'relu'"
    found = data(study, "answer", question=question)
    assert found["total"] == 0 and found["emptied"] == "learning_rate > 5"


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("run, epoch", ("run, epoch", "", (), "")),
        (
            "run where run = 1 and name = 'x and y order by' order by run",
            ("run", "run = 1 and name = 'x and y order by'", ("run = 1", "name = 'x and y order by'"),
             "order by run"),
        ),
        (
            "run WHERE (run = 1 and loss < 2) and epochs = 3 limit 4",
            ("run", "(run = 1 and loss < 2) and epochs = 3", ("run = 1 and loss < 2", "epochs = 3"),
             "limit 4"),
        ),
        ("run where run = 1 or run = 2", ("run", "run = 1 or run = 2", ("run = 1 or run = 2",), "")),
        (
            "run where epoch between 1 and 3",
            ("run", "epoch between 1 and 3", ("epoch between 1 and 3",), ""),
        ),
    ],
)  # fmt: skip
def test_the_parts_of_a_question_are_those_of_its_parser(
    study: Path, question: str, written: Any
) -> None:
    with open_record(str(study)) as record:
        understood = compile_question(question, record.connection)
    assert tuple(understood.written) == written
    assert len(understood.narrowed) == len(understood.written.conditions)
    assert not understood.narrowed or understood.narrowed[-1] == understood.sql
    assert "WHERE" not in understood.everything.text


def test_sql_with_its_values_in_it_asks_the_same(study: Path) -> None:
    found = data(study, "answer", question="run where name != 'what? it''s ?' and run < 4")
    assert found["total"] == 3 and len(rows(study, found["full"])) == 3


def test_the_examples_are_those_of_the_docs(study: Path) -> None:
    text = (ROOT / "docs" / "questions.md").read_text()
    examples = data(study, "entities")["examples"]
    titles = re.findall(r"^### A\d+\. (.*)$", text, re.MULTILINE)
    shown = {re.sub(r" \(\d\)$", "", example["title"]) for example in examples}
    assert len(titles) == 28 and set(titles) <= shown
    for example in examples:
        if not example["question"].startswith("@"):
            assert data(study, "answer", question=example["question"])["columns"]


def test_values_for_json() -> None:
    values = [math.nan, math.inf, -math.inf, 2**60, b"abc", {"a": (1, None)}]
    told = ["NaN", "Infinity", "-Infinity", str(2**60), "(3 bytes)", {"a": [1, None]}]
    assert plain(values) == told
    assert numbers("1-3,7,2") == [1, 2, 3, 7]
    for text in ("x", "1-99999999999"):
        with pytest.raises(ValueError):
            numbers(text)


def test_what_others_wrote_is_as_it_was_taken() -> None:
    folder = ROOT / "kerasprov_agent/viewer/static/vendor"
    text = (folder / "README.md").read_text()
    for path in folder.iterdir():
        if path.suffix in (".js", ".css"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert re.search(rf"`{re.escape(path.name)}`.*`{digest}`", text), path.name
