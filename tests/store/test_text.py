"""Any bytes are text: what the database has for what no UTF-8 can hold."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.store import spool, text
from kerasprov_agent.store.operations import insert
from kerasprov_agent.store.writer import Writer
from tests.conftest import TINY, clean_environment, kerasprov, row, rows

TEXTS = (
    "", "plain", "ü €", os.fsdecode(b"caf\xe9"), "\udcff\udce9", "a\0b", "\0", "\\", "\\\\", "\\x00",
    r"\udce9", r"\\udce9", "\\\udce9", "\\\\\0", r"C:\users\data", r"\ud83d", "\ud83d\ude00", "\x1b[31m",
    r"\udc", "\udce9\\udce9", r"\\x0", "end\\",
)  # fmt: skip


def storable(value: str) -> bool:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        return False
    with sqlite3.connect(":memory:") as connection:
        (found,) = connection.execute("SELECT ?", (value,)).fetchone()
    return bool(found == value)


@pytest.mark.parametrize("given", TEXTS, ids=ascii)
def test_a_text_comes_back(given: str) -> None:
    stored = text.encoded(given)
    assert storable(stored) and text.decoded(stored) == given
    if storable(given) and "\\" not in given:
        assert stored == given


def test_texts_made_by_chance_come_back_and_stay_apart() -> None:
    choice = random.Random(1)
    pieces = ["\\", "\0", "\udce9", "x00", "udce9", "u", "ü", "a", "\ud83d", "x0"]
    given = {"".join(choice.choices(pieces, k=choice.randint(0, 8))) for _ in range(20_000)}
    stored = {one: text.encoded(one) for one in given}
    assert all(text.decoded(there) == one for one, there in stored.items())
    assert len(set(stored.values())) == len(given)


class Raising:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __format__ = encode = __str__  # type: ignore[assignment]


class Whole(int):
    def __int__(self) -> int:
        raise RuntimeError("int")

    __index__ = __abs__ = __int__

    def __lt__(self, other: object) -> bool:
        raise RuntimeError("<")

    __le__ = __gt__ = __ge__ = __lt__


class Real(float):
    def __float__(self) -> float:
        raise RuntimeError("float")


class List(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise RuntimeError("iter")

    __len__ = __iter__


class Dict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError("items")

    __iter__ = keys = values = items  # type: ignore[assignment]


VALUES: dict[str, tuple[Any, Any]] = {
    "none": (None, None),
    "bool": (True, 1),
    "64 bits": (2**63 - 1, 2**63 - 1),
    "65 bits": (2**64, str(2**64)),
    "huge": (10**400, str(10**400)),
    "subclass of str": (Text("a"), "a"),
    "subclass of int": (Whole(7), 7),
    "subclass of float": (Real(0.5), 0.5),
    "bytes": (b"\0\xe9", b"\0\xe9"),
    "anything": (Raising(), "<Raising>"),
    "surrogate": ("\udce9", r"\udce9"),
}


@pytest.mark.parametrize(("given", "expected"), VALUES.values(), ids=VALUES)
def test_a_value_of_any_class_is_bound(given: Any, expected: Any) -> None:
    with sqlite3.connect(":memory:") as connection:
        (found,) = connection.execute("SELECT ?", (text.bindable(given),)).fetchone()
    assert found == expected


def test_json_of_anything_is_json() -> None:
    given = Dict(
        {
            Text("list"): List([1, Text("a"), Whole(2), Real(0.5), 10**400, float("nan")]),
            "\udce9": "\0",
            3: Raising(),
            "deep": None,
        }
    )
    inner: Any = given
    for _ in range(5000):
        inner = {"deep": [inner]}
    assert json.loads(text.as_json(inner))
    found = json.loads(text.as_json(given))
    assert found["list"] == [1, "a", 2, 0.5, 10**400, "NaN"]
    assert found[r"\udce9"] == r"\x00" and found["3"] == "<Raising>"
    assert len(text.bindable("x" * 5_000_000)) < 100_000


def test_a_bad_value_costs_neither_its_row_nor_its_neighbours(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "a.db"), "e")
    execution = {"id": "e", "status": "running", "started_at": "2026-01-01T00:00:00Z"}
    for position, (_, (given, _)) in enumerate(VALUES.items()):
        tagged = {**execution, "id": f"e{position}", "label": given, "tags": text.as_json([given])}
        writer.write([insert("execution", tagged)])
    writer.close()
    assert row(tmp_path / "a.db", "SELECT count(*) AS n FROM execution")["n"] == len(VALUES)
    assert not spool.waiting(str(tmp_path / "a.db"))


SCRIPT = (
    TINY
    + r"""
import os, sys
import kerasprov_agent
bad = os.fsdecode(b"caf\xe9")
class Own(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.note, self.nul, self.words = bad, "a\0b", [bad, "\ud83d"]
    def on_epoch_end(self, epoch, logs=None):
        logs[bad] = 1.5
        logs["text"] = bad
layer = keras.layers.Dense(1)
layer.units_told = bad
model = keras.Sequential([keras.Input((4,)), layer])
model.compile("sgd", "mse")
os.makedirs(bad)
np.save(os.path.join(bad, bad + ".npy"), x)
x = np.load(os.path.join(bad, bad + ".npy"))
with kerasprov_agent.activity(bad, value=bad):
    model.fit(x, y, epochs=2, verbose=0, callbacks=[Own()])
raise ValueError(bad + "\0")
"""
)


def test_a_program_full_of_bytes_that_are_no_text(tmp_path: Path, check_prov: Any) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff place"))
    place.mkdir()
    (place / "train.py").write_text(SCRIPT)
    variables = {"KERASPROV_TAGS": os.fsdecode(b"lab=caf\xe9"), "TF_NOTE": os.fsdecode(b"\xe9")}
    done = subprocess.run(
        [sys.executable, "-m", "kerasprov_agent", "train.py", b"caf\xe9"],
        cwd=place, env=clean_environment(**variables), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and b"ValueError" in done.stderr
    assert b"kerasprov_agent:" not in done.stderr, done.stderr.decode(errors="replace")
    database = place / "kerasprov.db"
    copy = tmp_path / "copy.db"
    copy.write_bytes(database.read_bytes())
    execution = row(copy, "SELECT * FROM execution")
    assert json.loads(execution["arguments"]) == [r"caf\udce9"]
    assert text.decoded(execution["working_directory"]) == str(place)
    assert json.loads(execution["tags"]) == {"lab": r"caf\udce9"}
    assert execution["exception"] == r"caf\udce9\x00" and execution["exit_status"] == 1
    run = row(copy, "SELECT status, epochs_finished FROM run")
    assert run == {"status": "finished", "epochs_finished": 2}
    epoch = rows(copy, "SELECT * FROM epoch")[-1]
    assert epoch[r"caf\udce9"] == 1.5 and json.loads(epoch["more"]) == {"text": r"caf\udce9"}
    settings = row(copy, "SELECT settings FROM callback WHERE class_name = 'Own'")["settings"]
    assert json.loads(settings)["words"] == [r"caf\udce9", r"\ud83d"]
    paths = [one["path"] for one in rows(copy, "SELECT path FROM file")]
    assert str(place / os.fsdecode(b"caf\xe9/caf\xe9.npy")) in map(text.decoded, paths)
    step = row(copy, "SELECT name FROM activity WHERE kind = 'step'")
    assert step["name"] == r"caf\udce9"

    documents = []
    for form in ("json", "provn", "ttl", "xml", "jsonld"):
        target = tmp_path / f"document.{form}"
        told = kerasprov("prov", "last", "--format", form, "-o", target, "--db", copy)
        assert told.exit_code == 0, told.output
        assert target.read_text("utf-8")
        documents.append(target)
    check_prov(documents[0])
    for words in (("runs",), ("show", "last", "--files"), ("lineage", "last"), ("runs", "--csv")):
        told = kerasprov(*words, "--db", copy)
        assert told.exit_code == 0, told.output
