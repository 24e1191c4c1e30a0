"""`kerasprov query`, `plot`, `show --part`, `diff` of many, `export`: on real trainings."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, kerasprov, rows
from tests.test_conditions import three

__all__ = ["three"]


def asked(db: Path, *words: str) -> list[dict[str, Any]]:
    done = kerasprov(*words, "--json", "--db", db)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("question", "statement"),
    [
        ("epochs.epoch, val_loss where run = 2", "SELECT epoch, val_loss FROM epoch WHERE run = 2"),
        (
            "runs.name, count(epochs.epoch), max(epochs.loss) order by runs.name desc",
            "SELECT name, count(*), max(loss) FROM epochs GROUP BY name ORDER BY name DESC",
        ),
        (
            "runs.run, layers.name where layers.activation = 'SIGMOID' or run = 1 order by run",
            "SELECT run, name FROM layers WHERE activation = 'sigmoid' OR run = 1 ORDER BY run",
        ),
        ("avg(epochs.loss)", "SELECT avg(loss) FROM epoch"),
        (
            "RUNS.NAME WHERE RUNS.OPTIMIZER IN ('adam', 'sgd') ORDER BY RUNS.RUN LIMIT 2",
            "SELECT name FROM runs WHERE optimizer IN ('Adam', 'SGD') ORDER BY run LIMIT 2",
        ),
        (
            "runs.run, packages.version where packages.name = 'keras' order by runs.run",
            "SELECT r.run, p.version FROM runs r JOIN packages p USING (execution_id) "
            "WHERE p.name = 'keras' ORDER BY r.run",
        ),
        ("SELECT run FROM runs", "SELECT run FROM runs"),
    ],
)
def test_a_question_is_answered_as_by_sql(three: Path, question: str, statement: str) -> None:
    found = [list(row.values()) for row in asked(three, "query", question)]
    assert found == [list(row.values()) for row in rows(three, statement)] != []


@pytest.mark.parametrize(
    ("question", "complaint"),
    [
        ("epoch.loss", "no entity 'epoch'; there is epochs"),
        ("epochs.los", "there is epochs.loss"),
        ("runs.name where", "ends too early"),
        ("runs.name where max(epochs.loss) > 1", "not be a condition"),
        ("first(epochs.loss)", "min, max, avg, std, median, count can"),
        ("runs.name; drop table run", "not understood from '; drop"),
        ("runs.name limit -1", "not understood"),
        ("", "ends too early"),
        ("DELETE FROM run", "not understood"),
        ("SELECT nonsense", "SQLite says"),
        ("(" * 200, "too long"),
    ],
)
def test_a_question_that_is_none_gets_one_line(three: Path, question: str, complaint: str) -> None:
    before = three.read_bytes()
    done = kerasprov("query", question, "--db", three)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert complaint in done.stderr and three.read_bytes() == before


def test_values_of_a_question_are_parameters(three: Path) -> None:
    text = "runs.name where runs.name = 'x'' OR 1=1 --' or runs.run = 1"
    assert asked(three, "query", text) == [{"runs.name": "train"}]
    shown = kerasprov("query", text, "--show-sql", "--db", three).stdout
    assert "'x'' OR 1=1 --'" in shown
    assert rows(three, shown) == [{"runs.name": "train"}]


def test_a_part_of_a_run(three: Path) -> None:
    packages = {row["name"]: row["value"] for row in asked(three, "show", "1", "--env")}
    assert packages["keras"] == packages["keras_version"] and packages["cpu_count"] > 0
    layers = asked(three, "show", "1", "--layers")
    assert [row["position"] for row in layers] == list(range(len(layers)))
    epochs = asked(three, "show", "1", "--epochs")
    stored = rows(three, "SELECT * FROM epochs WHERE run = 1")
    assert [e["loss"] for e in epochs] == [e["loss"] for e in stored]
    # On a terminal without room for all the metrics are what is told.
    narrow = kerasprov("show", "1", "--epochs", "--db", three, env={"COLUMNS": "60"}).stdout
    assert narrow.split()[:2] == ["epoch", "loss"] and "left out for lack of room" in narrow
    told = kerasprov("show", "1", "--csv", "--db", three).stdout
    assert [float(r["loss"]) for r in csv.DictReader(io.StringIO(told))] == [
        e["loss"] for e in stored
    ]
    shown = kerasprov("show", "3", "--db", three).stdout
    assert "curves" in shown and "▁" in shown and "None" not in shown


def test_what_many_runs_differ_in(three: Path) -> None:
    done = kerasprov("diff", "1", "2", "3", "--json", "--db", three)
    found = json.loads(done.stdout)
    settings = {row["name"]: [row[name] for name in ("train", "train-2", "train-3")]
                for row in found["settings"]}  # fmt: skip
    runs = rows(three, "SELECT * FROM runs ORDER BY run")
    assert settings["optimizer"] == [run["optimizer"] for run in runs]
    assert all(len(set(map(repr, values))) > 1 for values in settings.values())
    assert not found["packages"] and not found["machine"]
    outcome = {row["name"]: row for row in found["outcome"]}
    least = rows(three, "SELECT min(loss) AS m FROM epochs GROUP BY run ORDER BY run")
    assert [outcome["lowest loss"][run["name"]] for run in runs] == [one["m"] for one in least]
    assert outcome["seconds"]["train"] == runs[0]["seconds"]
    told = kerasprov("diff", "1", "2", "3", "--csv", "--db", three).stdout
    assert {row["section"] for row in csv.DictReader(io.StringIO(told))} >= {"settings", "outcome"}
    alone = kerasprov("diff", "1", "--db", three)
    assert alone.exit_code == 2 and "two runs" in alone.stderr


def test_curves_are_drawn(three: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pillow = pytest.importorskip("PIL.Image")
    png, svg = tmp_path / "curves.png", tmp_path / "curves.svg"
    assert kerasprov("plot", "--by", "optimizer", "-o", png, "--db", three).exit_code == 0
    with pillow.open(png) as picture:
        assert picture.width > picture.height > 300
        colours = picture.convert("RGB").getcolors(1 << 24)
    assert {(31, 119, 180), (255, 127, 14)} <= {colour for _, colour in colours}
    kerasprov("plot", "1", "2", "--metric", "loss", "-o", svg, "--db", three)
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert kerasprov("plot", "--time", "-o", tmp_path / "t.pdf", "--db", three).exit_code == 0
    assert (tmp_path / "t.pdf").read_bytes().startswith(b"%PDF")


def test_what_is_drawn_is_what_was_recorded(three: Path) -> None:
    points = asked(three, "plot", "--metric", "loss", "--by", "optimizer")
    means = rows(
        three,
        "SELECT optimizer, epoch, avg(loss) AS loss, avg(val_loss) AS val_loss FROM epochs "
        "GROUP BY 1, 2",
    )
    told = {(p["group"], p["metric"], p["epoch"]): p["value"] for p in points}
    for one in means:
        for metric in ("loss", "val_loss"):
            if one[metric] is not None:
                key = (f"optimizer {one['optimizer']}", metric, one["epoch"])
                assert told.pop(key) == pytest.approx(one[metric])
    assert not told
    times = asked(three, "plot", "--time", "--by", "optimizer")
    stored = rows(three, "SELECT optimizer, avg(seconds) AS s FROM epochs GROUP BY 1 ORDER BY 1")
    assert [t["seconds_per_epoch"] for t in times] == pytest.approx([s["s"] for s in stored])


def test_curves_in_the_terminal(three: Path) -> None:
    pytest.importorskip("plotext")
    drawn = kerasprov("plot", "1", "3", "--metric", "loss", "--db", three).stdout
    assert "train-3" in drawn and "epoch" in drawn and "\x1b" not in drawn
    assert "▇" in kerasprov("plot", "--time", "--db", three).stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--metric", "nonsense"), "no metric 'nonsense'"),
        (("--by", "nonsense"), "no column 'nonsense'"),
        (("--where", "run > 99"), "no runs match"),
        (("-o", "curves.nonsense"), "must end in"),
        (("-o", "/nowhere/curves.png"), "No such file"),
    ],
)
def test_what_can_not_be_drawn_gets_one_line(
    three: Path, words: tuple[str, ...], complaint: str
) -> None:
    done = kerasprov("plot", *words, "--db", three)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1) and complaint in done.stderr


def test_export(three: Path, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    stored = rows(three, "SELECT * FROM epochs ORDER BY run, epoch")
    for form in ("csv", "parquet"):
        done = kerasprov("export", "--format", form, "-o", tmp_path / form, "--db", three)
        assert done.exit_code == 0, done.output
        read = pd.read_csv if form == "csv" else pd.read_parquet
        frame = read(tmp_path / form / f"epochs.{form}").sort_values(["run", "epoch"])
        assert list(frame["loss"]) == [row["loss"] for row in stored]
        assert list(frame["optimizer"]) == [row["optimizer"] for row in stored]
        assert list(frame.columns) == list(stored[0])
    assert str(pd.read_parquet(tmp_path / "parquet" / "epochs.parquet")["epoch"].dtype) == "int64"


def test_export_for_duckdb(three: Path, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    for _ in range(2):  # what is there is replaced
        done = kerasprov("export", "--format", "duckdb", "-o", tmp_path / "k.duckdb", "--db", three)
        assert done.exit_code == 0, done.output
    query = "SELECT optimizer, max(loss) AS m FROM epochs GROUP BY 1 ORDER BY 1"
    with closing(duckdb.connect(str(tmp_path / "k.duckdb"), read_only=True)) as connection:
        found = connection.execute(query).fetchall()
    assert found == [tuple(row.values()) for row in rows(three, query)]
    assert [path.name for path in tmp_path.iterdir()] == ["k.duckdb"]


def test_export_for_elasticsearch(three: Path, tmp_path: Path) -> None:
    target = tmp_path / "bulk.ndjson"
    texts = []
    for _ in range(2):
        kerasprov("export", "--format", "ndjson", "-o", target, "--db", three)
        texts.append(target.read_text())
    assert texts[0] == texts[1]
    lines = [json.loads(line) for line in texts[0].splitlines()]
    actions, documents = lines[::2], lines[1::2]
    stored = rows(
        three,
        "SELECT r.id, p.* FROM epoch p JOIN run r ON r.number = p.run ORDER BY run DESC, epoch",
    )
    assert [a["index"]["_id"] for a in actions] == [f"{s['id']}:{s['epoch']}" for s in stored]
    for document, row in zip(documents, stored, strict=True):
        assert document["metrics"]["loss"] == row["loss"]
        assert document["run"]["number"] == row["run"]
        assert document["@timestamp"] == int(row["started_at"] * 1000)


def test_export_for_mlflow_comes_back_the_same(three: Path, tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    target, back = tmp_path / "mlflow.db", tmp_path / "back.db"
    for _ in range(2):  # what is there already stays as it is
        done = kerasprov("export", "--format", "mlflow", "-o", target, "--db", three)
        assert done.exit_code == 0, done.output
    client = tracking.MlflowClient(f"sqlite:///{target}")
    (experiment,) = client.search_experiments(filter_string="name = 'kerasprov'")
    assert len(client.search_runs([experiment.experiment_id])) == 3
    kerasprov("import", target, "--db", back)
    columns = "name, optimizer, learning_rate, batch_size, epochs, status"
    query = f"SELECT {columns} FROM runs ORDER BY name"
    assert rows(back, query) == rows(three, query)
    query = "SELECT name, epoch, loss, val_loss FROM epochs ORDER BY name, epoch"
    assert rows(back, query) == rows(three, query)


def test_a_note(three: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.db"
    own.write_bytes(three.read_bytes())
    assert kerasprov("note", "2", "for the paper", "--db", own).exit_code == 0
    assert kerasprov("note", "2", "--db", own).stdout == "for the paper\n"
    assert [r["run"] for r in asked(own, "runs", "--where", "note like '%paper%'")] == [2]
    assert "for the paper" in kerasprov("show", "2", "--db", own).stdout
    kerasprov("note", "2", "", "--db", own)
    assert rows(own, "SELECT note FROM run WHERE number = 2") == [{"note": None}]


class TestDelete:
    @pytest.fixture
    def own(self, three: Path, tmp_path: Path) -> Path:
        path = tmp_path / "own.db"
        path.write_bytes(three.read_bytes())
        return path

    def test_a_dry_run_changes_nothing(self, own: Path) -> None:
        before = own.read_bytes()
        done = kerasprov("delete", "--where", "run < 3", "--dry-run", "--db", own)
        assert done.exit_code == 0 and "train-2" in done.stdout and "train-3" not in done.stdout
        assert own.read_bytes() == before and [p.name for p in own.parent.iterdir()] == ["own.db"]

    def test_it_asks(self, own: Path) -> None:
        done = kerasprov("delete", "1", "--db", own)  # nobody answers
        assert done.exit_code == 1 and len(rows(own, "SELECT 1 FROM run")) == 3

    def test_a_run_goes_with_all_that_is_its_own(self, own: Path) -> None:
        kept = rows(own, "SELECT * FROM epochs WHERE run <> 2")
        assert kerasprov("delete", "2", "--yes", "--db", own).exit_code == 0
        assert rows(own, "SELECT * FROM epochs") == kept
        for table in ("param", "callback", "evaluation"):
            assert not rows(own, f"SELECT 1 FROM {table} WHERE run_id LIKE '%#fit-2'")
        assert rows(own, "PRAGMA foreign_key_check") == []
        assert asked(own, "doctor")[0]["ok"]
        assert kerasprov("prov", "1", "-o", own.parent / "doc.json", "--db", own).exit_code == 0

    def test_the_last_run_takes_its_program_along(self, own: Path) -> None:
        assert kerasprov("delete", "--where", "run > 0", "--yes", "--db", own).exit_code == 0
        with closing(sqlite3.connect(own)) as connection:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            names = [name for (name,) in connection.execute(query)]
            left = {n for n in names if connection.execute(f"SELECT 1 FROM {n} LIMIT 1").fetchone()}
        assert left <= {"meta", "metric"}

    def test_what_is_going_on_stays(self, own: Path) -> None:
        with closing(sqlite3.connect(own)) as connection, connection:
            connection.execute("UPDATE run SET status = 'running' WHERE number = 1")
            connection.execute("UPDATE execution SET host = 'another, of which nothing is known'")
        done = kerasprov("delete", "1", "--yes", "--db", own)
        assert done.exit_code == 2 and "still going" in done.stderr


def test_the_example_for_kibana_draws_what_is_exported(three: Path, tmp_path: Path) -> None:
    vega = pytest.importorskip("vl_convert")
    target = tmp_path / "bulk.ndjson"
    kerasprov("export", "--format", "ndjson", "-o", target, "--db", three)
    documents = [json.loads(line) for line in target.read_text().splitlines()[1::2]]
    spec = json.loads((ROOT / "docs" / "kibana-curves.vl.json").read_text())
    # Kibana puts the answer of Elasticsearch in the place of the url.
    assert spec["data"]["format"]["property"] == "hits.hits"
    for path in spec["data"]["url"]["body"]["_source"]:
        first, _, second = path.partition(".")
        assert all(first in one and (not second or second in one[first]) for one in documents)
    spec["data"] = {"values": [{"_source": one} for one in documents]}
    svg = vega.vegalite_to_svg(spec)
    assert svg.count('aria-roledescription="line mark"') == 3 and "optimizer" in svg
    (tmp_path / "kibana.png").write_bytes(vega.vegalite_to_png(spec))
