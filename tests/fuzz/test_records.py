"""A record with names of any kind is shown, exported and told as documents that can be read."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import prov.model
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerasprov_agent.store import text as gate
from tests.conftest import kerasprov
from tests.fuzz.conftest import EXAMPLES

ANY = st.text(st.characters(), min_size=1, max_size=40)
NAMES = {
    "run": "name", "layer": "name", "metric": "name", "file": "path", "entity": "class_name",
    "execution": "script", "callback": "settings", "change": "by",
    "architecture": "config", "optimizer": "config",
}  # fmt: skip
COMMANDS: tuple[Sequence[str], ...] = (
    ("runs",), ("runs", "--json"), ("runs", "--csv"), ("show", "last"), ("show", "last", "--layers"),
    ("show", "last", "--files"), ("lineage", "last"), ("card", "last"), ("trials",),
    ("query", "epochs.epoch, epochs.loss"), ("verify", "last"),
)  # fmt: skip


def named(original: Path, place: Path, names: dict[str, str]) -> Path:
    """A copy of a record in which things are called so, as the gate would have stored it."""
    place.mkdir(exist_ok=True)
    database = place / "kerasprov.db"
    shutil.copy(original, database)
    with closing(sqlite3.connect(database)) as connection:
        for table, name in names.items():
            info = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table,))
            key = ", ".join(column for column, place in info.fetchall() if place)
            first = f"({key}) = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)"
            query = f"UPDATE {table} SET {NAMES[table]} = ? WHERE {first}"
            connection.execute(query, (gate.encoded(name),))
        connection.commit()
    return database


@settings(max_examples=EXAMPLES // 10)
@given(names=st.fixed_dictionaries(dict.fromkeys(NAMES, ANY)))
@example(names={**dict.fromkeys(NAMES, "0"), "execution": "\x85"})
def test_it_is_shown_and_told(names: dict[str, str], digits: Path, tmp_path: Path) -> None:
    database = named(digits, tmp_path / "copy", names)
    for words in COMMANDS:
        done = kerasprov(*words, "--db", database)
        nothing = words[0] == "verify" and "there is nothing to verify" in done.output
        assert done.exit_code in (0, 1) or nothing, (words, done.output)
        assert "Traceback" not in done.output
        assert not any(ord(c) < 32 and c not in "\n\t\r" for c in done.stdout), words
    for form in ("json", "provn", "xml", "ttl", "jsonld"):
        path = tmp_path / f"out.{form}"
        done = kerasprov("prov", "last", "--format", form, "-o", path, "--db", database)
        assert done.exit_code == 0, (form, done.output)
    document = prov.model.ProvDocument.deserialize(tmp_path / "out.json", format="json")
    assert document.get_records()
    prov.model.ProvDocument.deserialize(tmp_path / "out.xml", format="xml")
    for form in ("cyclonedx", "spdx", "croissant", "openlineage"):
        path = tmp_path / f"out.{form}"
        done = kerasprov("export", "--format", form, "-o", path, "--db", database)
        assert done.exit_code == 0, (form, done.output)
        for line in path.read_text().splitlines() if form == "openlineage" else [path.read_text()]:
            json.loads(line)


@settings(max_examples=EXAMPLES // 3)
@pytest.mark.parametrize(
    "ending", [".csv", ".json", ".sql", ".db", ".yaml", ".tfevents.1", ".provn", ""]
)
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(
    lambda text: text.encode("utf-8", "replace")
), st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
        st.sampled_from(("loss", "epoch", "prefix", "entity", "activity", "a")), inner, max_size=4)),
    max_leaves=9).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_file_is_taken_or_refused(ending: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"events{ending}"
    path.write_bytes(content)
    done = kerasprov("import", path, "--db", tmp_path / "kerasprov.db")
    assert done.exit_code in (0, 2), (content, done.output, done.exception)
    assert "Traceback" not in done.output
