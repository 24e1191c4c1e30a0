"""What Keras-Prov, DNNProv and DLProv wrote is taken in, mended, marked, once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED, kerasprov, needs_shared, rows
from tests.exchange import ancestors

ANCESTOR = SHARED / "data" / "ancestor"


def take_in(database: Path, *files: Path) -> list[dict[str, Any]]:
    done = kerasprov("import", *files, "--json", "--db", database)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(params=["|", "\\t"])
def flowers(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "dump.sql"
    ending = "\r\n" if request.param == "|" else "\n"
    path.write_bytes(ancestors.dump(request.param).replace("\n", ending).encode())
    take_in(tmp_path / "kerasprov.db", path)
    return tmp_path / "kerasprov.db"


def test_runs_are_told_apart_and_what_belongs_to_each_is_found(flowers: Path) -> None:
    runs = rows(flowers, "SELECT * FROM runs ORDER BY run")
    assert [(r["optimizer"], r["learning_rate"], r["dropout"]) for r in runs] == list(
        ancestors.RUNS
    )
    assert {(r["activation"], r["batch_size"], r["layers"], r["epochs"]) for r in runs} == {
        ("relu", 64, 7, 12)
    }
    assert {(r["status"], r["seconds"], r["imported_from"]) for r in runs} == {
        (None, None, "MonetDB dump")
    }
    assert runs[0]["started_at"][:19] == "2021-03-24T21:46:11"
    for place, run in enumerate(runs):
        epochs = rows(flowers, "SELECT * FROM epochs WHERE run = ? ORDER BY epoch", run["run"])
        assert [e["accuracy"] for e in epochs] == [ancestors.accuracy(place, n) for n in range(12)]
        assert {e["seconds"] for e in epochs} == {21.0 if place == 1 else 20.0}
        assert epochs[0]["train_seconds"] is None
        # The time at which an epoch ended was stored, in seconds since 1970.
        assert epochs[0]["started_at"] == pytest.approx(ancestors.START + 1000 * place + 2)
        changes = rows(flowers, "SELECT * FROM changes WHERE run = ?", run["run"])
        assert [(c["epoch"], c["old"], c["new"]) for c in changes] == [
            (9, run["learning_rate"], run["learning_rate"] / 2)
        ]
        (tested,) = rows(flowers, "SELECT * FROM evaluations WHERE run = ?", run["run"])
        assert tested["accuracy"] == pytest.approx(0.4 + 0.1 * place)
    steps = rows(flowers, "SELECT * FROM steps WHERE attribute = 'filter_name' ORDER BY run")
    assert [(s["step"], s["value"]) for s in steps] == [
        ("filters", "none"), ("filters", "none"), ("filters", "blur"),
    ]  # fmt: skip


def test_sentinels_are_no_values_and_repairs_are_listed(flowers: Path) -> None:
    (first,) = rows(flowers, "SELECT * FROM epochs WHERE run = 2 AND epoch = 0")
    assert first["val_loss"] is None and first["val_accuracy"] is not None
    told = rows(flowers, "SELECT repairs FROM imports WHERE runs = '2'")[0]["repairs"]
    repairs = json.loads(told)
    assert any("0.001 in 32 bits" in one for one in repairs)
    assert any("-9999999" in one for one in repairs)
    assert any("3 adaptations repeat 1" in one for one in repairs)


def test_again_adds_nothing_and_a_copy_is_the_same(flowers: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.sql"
    copy.write_text(ancestors.dump())
    tables = [r["name"] for r in rows(flowers, "SELECT name FROM sqlite_master WHERE type='table'")]
    before = {name: rows(flowers, f"SELECT * FROM {name}") for name in tables}
    assert {one["outcome"] for one in take_in(flowers, copy)} == {"known already"}
    assert {name: rows(flowers, f"SELECT * FROM {name}") for name in tables} == before


def test_a_name_given_since_is_kept(flowers: Path, tmp_path: Path) -> None:
    kerasprov("rename", "1", "the best", "--db", flowers)
    take_in(flowers, tmp_path / "dump.sql")
    assert rows(flowers, "SELECT name FROM runs WHERE run = 1") == [{"name": "the best"}]


def test_what_was_imported_is_shown_compared_and_documented(flowers: Path, tmp_path: Path) -> None:
    shown = kerasprov("show", "1", "--db", flowers).stdout
    assert "MonetDB dump" in shown and "None" not in shown and "relu" in shown
    assert "blur" in kerasprov("show", "3", "--db", flowers).stdout
    differing = json.loads(kerasprov("diff", "1", "2", "3", "--json", "--db", flowers).stdout)
    told = {row["name"]: list(row.values())[1:] for row in differing["settings"]}
    assert told["optimizer"] == ["Adam", "SGD", "Adam"]
    assert told["dropout"] == [0.4, 0.4, 0.7]
    for form in ("json", "provn", "svg") if shutil.which("dot") else ("json", "provn"):
        done = kerasprov("prov", "1", "--format", form, "-o", tmp_path / "doc", "--db", flowers)
        assert done.exit_code == 0, done.output
    kerasprov("prov", "1", "--execution", "-o", tmp_path / "doc", "--db", flowers)
    text = (tmp_path / "doc").read_text()
    assert "importer" in text and '"recorder"' not in text and "kp:importedFrom" in text


def test_dlprov(tmp_path: Path) -> None:
    (tmp_path / "digits.json").write_text(ancestors.document())
    database = tmp_path / "kerasprov.db"
    (told,) = take_in(database, tmp_path / "digits.json")
    assert (told["epochs"], told["tests"]) == (2, 1) and "end in a colon" in told["mended"]
    (run,) = rows(database, "SELECT * FROM runs")
    assert (run["name"], run["optimizer"], run["learning_rate"]) == ("digits", "Adam", 0.01)
    assert (run["user"], run["layers"], run["started_at"]) == ("ann@example.org", 4, None)
    epochs = rows(database, "SELECT loss, seconds, started FROM epochs")
    assert epochs == [
        {"loss": 0.5, "seconds": 11.5, "started": None},
        {"loss": 0.25, "seconds": 10.5, "started": None},
    ]
    assert "val_loss" not in rows(database, "SELECT * FROM epochs")[0]
    (tested,) = rows(database, "SELECT * FROM evaluations")
    assert (tested["accuracy"], tested["loss"]) == (0.97, 0.1)
    files = rows(database, "SELECT path, made_by FROM files ORDER BY path")
    assert {Path(f["path"]).name: f["made_by"] for f in files} == {
        "digits": "loaddata", "model.h5": "fit", "test.npz": "splitdata", "train.npz": "splitdata",
    }  # fmt: skip
    back = kerasprov("lineage", "1", "--back", "--format", "json", "--db", database)
    assert {node["name"] for node in json.loads(back.stdout)["nodes"]} >= {
        "otrainedmodel", "otrainset", "oloaddata", "iinputdataset",
    }  # fmt: skip
    assert take_in(database, tmp_path / "digits.json")[0]["outcome"] == "known already"


@needs_shared
class TestTheirOwnFiles:
    def test_keras_prov(self, tmp_path: Path) -> None:
        database = tmp_path / "kerasprov.db"
        files = [ANCESTOR / "keras-prov-dump.sql", ANCESTOR / "keras-prov-dump2.sql"]
        told = take_in(database, *files)
        counts = {
            "SELECT count(*) FROM runs": 12,
            "SELECT count(*) FROM epochs": 1600,
            "SELECT count(*) FROM layers": 96,
            "SELECT count(*) FROM evaluations": 8,
            "SELECT count(*) FROM params": 72,
            "SELECT count(*) FROM changes": 4 * 20 + 8,
        }
        for query, count in counts.items():
            assert rows(database, query) == [{"count(*)": count}], query
        changes = rows(database, "SELECT count(*) AS n FROM changes GROUP BY run ORDER BY run")
        assert [c["n"] for c in changes] == [20] * 4 + [1] * 8
        mended = [one["mended"] for one in told]
        assert [text.count("adaptations repeat 20") for text in mended[:4]] == [1] * 4
        assert "line 1064: epoch 19912 is taken for 199" in mended[1]
        best = rows(database, "SELECT max(val_accuracy) AS v FROM epochs GROUP BY run LIMIT 4")
        assert [round(b["v"], 3) for b in best] == [0.257, 0.601, 0.523, 0.628]
        runs = rows(database, "SELECT * FROM runs WHERE run <= 4")
        assert [(r["optimizer"], r["learning_rate"]) for r in runs] == [
            ("Adam", 0.1), ("SGD", 0.1), ("SGD", 0.001), ("Adam", 0.001),
        ]  # fmt: skip
        momentum = rows(database, "SELECT value FROM params WHERE run = 3 AND name = 'momentum'")
        assert momentum == [{"value": 0.9}]
        assert {r["status"] for r in runs} == {"finished"}
        again = take_in(database, *reversed(files))
        assert {one["outcome"] for one in again} == {"known already"}

    def test_the_answers_of_dump2(self, tmp_path: Path) -> None:
        database = tmp_path / "kerasprov.db"
        take_in(database, ANCESTOR / "keras-prov-dump2.sql")

        def ask(*words: str) -> list[dict[str, Any]]:
            done = kerasprov(*words, "--json", "--db", database)
            assert done.exit_code == 0, done.output
            found: list[dict[str, Any]] = json.loads(done.stdout)
            return found

        (loss,) = ask("query", "epochs.loss where run = 1 and epoch = 10")
        assert loss["epochs.loss"] == 0.647683485897108
        layers = ask("show", "1", "--layers")
        assert [layer.get("activation") for layer in layers].count("relu") == 8
        assert sum(layer["dropout_rate"] is not None for layer in layers) == 3
        epochs = ask("query", "epochs.seconds, epochs.loss where run = 1 order by epoch limit 2")
        assert [tuple(round(v, 3) for v in row.values()) for row in epochs] == [
            (25.485, 3.057), (20.917, 2.361),
        ]  # fmt: skip
        by_accuracy, by_validation = ask("best", "accuracy"), ask("best", "val_accuracy")
        assert (by_accuracy[0]["run"], by_accuracy[0]["learning_rate"]) == (1, 0.001)
        assert (by_validation[0]["run"], by_validation[0]["learning_rate"]) == (6, 0.0005)
        three = ask("best", "val_accuracy", "--top", "3")
        assert [
            (
                b["run"],
                b["optimizer"],
                b["learning_rate"],
                b["dropout"],
                round(b["val_accuracy"], 4),
            )
            for b in three
        ] == [
            (6, "Adam", 0.0005, 0.7, 0.7064),
            (2, "Adam", 0.001, 0.7, 0.6835),
            (5, "Adam", 0.0005, 0.4, 0.6560),
        ]
        changes = ask("query", "changes.epoch, changes.new, changes.by where run = 6")
        assert [list(change.values()) for change in changes] == [[9, 0.00025, None]]
        filters = ask(
            "query",
            "steps.value, count(runs.run) where runs.dropout = 0.4 and "
            "steps.attribute = 'filter_name'",
        )
        assert [list(row.values()) for row in filters] == [["none", 4]]
        tests = ask(
            "query",
            "runs.run, evaluations.accuracy, steps.value, runs.epochs_finished where "
            "steps.attribute = 'filter_name' order by evaluations.accuracy desc",
        )
        told = [[round(v, 4) if isinstance(v, float) else v for v in row.values()] for row in tests]
        assert told[:3] == [
            [6, 0.7022, "none", 100],
            [2, 0.6912, "none", 100],
            [5, 0.6397, "none", 100],
        ]
        assert told[-1] == [8, 0.1176, "none", 100]
        assert ask("runs", "--where", "min(val_loss) < 0.5") == []
        times = ask("plot", "--time", "--by", "optimizer")
        assert [round(row["seconds_per_epoch"], 3) for row in times] == [21.192, 20.489]

    def test_pw23(self, tmp_path: Path) -> None:
        database = tmp_path / "kerasprov.db"
        take_in(database, *sorted(ANCESTOR.glob("pw23-*.sql")))
        counts = rows(
            database,
            "SELECT r.label, count(DISTINCT r.number) AS runs, count(*) AS epochs, (SELECT count(*)"
            " FROM evaluations v JOIN run q ON q.number = v.run WHERE q.label = r.label) AS tests "
            "FROM run r JOIN epoch p ON p.run = r.number GROUP BY r.label ORDER BY r.label",
        )
        assert [tuple(one.values()) for one in counts] == [
            ("census", 12, 1505, 12), ("framingham", 42, 4905, 42), ("fraud", 8, 720, 8),
        ]  # fmt: skip
        tags = rows(database, "SELECT tags, runs FROM executions WHERE tags IS NOT NULL")
        assert len(tags) == 41 and sum(not one["runs"] for one in tags) == 2
        # A dump without the others' tables has the same runs, so they are not there twice.
        alone = take_in(database, ANCESTOR / "pw23-dump_framingham.sql")
        assert {one["outcome"] for one in alone} == {"known already"}
        assert len(rows(database, "SELECT 1 FROM runs WHERE status = 'finished'")) == 39

    def test_dlprov_example(self, tmp_path: Path) -> None:
        (told,) = take_in(tmp_path / "kerasprov.db", ANCESTOR / "dlprov-mnist-example.json")
        assert (told["name"], told["epochs"], told["tests"]) == ("mnist-peerj", 2, 1)


BAD = {
    "a row is short": (('"Adam"    ', ""), "values for"),
    "not a number": (("    64    7", "    many    7"), "is no double"),
    "no table": (('CREATE TABLE "flowers"."ds_ifilters"', "-"), "no CREATE TABLE"),
}


@pytest.mark.parametrize("bad", BAD)
def test_an_unreadable_dump_gets_its_line_and_changes_nothing(tmp_path: Path, bad: str) -> None:
    (right, wrong), complaint = BAD[bad]
    (tmp_path / "bad.sql").write_text(ancestors.dump().replace(right, wrong, 1))
    done = kerasprov("import", tmp_path / "bad.sql", "--db", tmp_path / "k.db")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "line " in done.stderr and complaint in done.stderr
    assert not (tmp_path / "k.db").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("letter.txt", "Dear all,\n"),
        ("broken.json", '{"entity": '),
        ("other.json", '{"entity": {}}'),
        ("empty", ""),
    ],
)
def test_what_can_not_be_imported_gets_one_line(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    done = kerasprov("import", tmp_path / name, "--db", tmp_path / "k.db")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert name in done.stderr and not (tmp_path / "k.db").exists()
