"""`kerasprov verify` finds what is no longer what it was, and nothing else."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.evidence import verifying
from kerasprov_agent.read.origin import Origin
from kerasprov_agent.read.record import open_record
from tests.conftest import kerasprov, recorded


def verified(study: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """The exit status, and each file's state by its path below the study."""
    done = kerasprov("verify", *words, "--json", "--db", study / "kerasprov.db")
    assert done.exit_code in (0, 1), done.output
    rows = json.loads(done.stdout)
    return done.exit_code, {row["path"].removeprefix(f"{study}/"): row for row in rows}


def states(study: Path, *words: str | Path) -> tuple[int, dict[str, str]]:
    """The exit status, and what is not the same."""
    status, rows = verified(study, *words)
    return status, {path: row["state"] for path, row in rows.items() if row["state"] != "same"}


def test_all_is_what_it_was(study: Path) -> None:
    status, rows = verified(study, study / "tuned.keras")
    assert status == 0 and {row["state"] for row in rows.values()} == {"same"}
    kinds = {path: row["kind"] for path, row in rows.items()}
    raw, small = [{f"{folder}/{i:02}.npy" for i in range(40)} for folder in ("raw", "small")]
    code = {"prepare.py", "train.py", "tune.py", "shapes.py"}
    assert kinds.keys() == raw | small | code | {"model.keras", "tuned.keras"}
    assert {kinds[path] for path in code} == {"code"}
    assert {kinds["model.keras"], kinds["tuned.keras"]} == {"model"}
    # Of the first model the second program is no part.
    _, of_first = verified(study, study / "model.keras")
    assert of_first.keys() == raw | small | code - {"tune.py"} | {"model.keras"} - {"tune.py"}
    done = kerasprov("verify", "--db", study / "kerasprov.db")
    assert (
        done.exit_code == 0 and "files are what they were.\nThe database is whole." in done.stdout
    )
    assert ", 40 files" in done.stdout


def one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "path", ["raw/05.npy", "small/03.npy", "model.keras", "shapes.py", "train.py"]
)
@pytest.mark.parametrize(
    ("alter", "state"),
    [
        (one_byte, "changed"),
        (longer, "changed"),
        (Path.unlink, "gone"),
        (replaced_by_a_folder, "changed"),
    ],
)
def test_what_was_altered_is_found(
    study: Path, path: str, alter: Callable[[Path], None], state: str
) -> None:
    alter(study / path)
    assert states(study, study / "tuned.keras") == (1, {path: state})
    assert states(study, "--all") == (1, {path: state})
    done = kerasprov("verify", study / "tuned.keras", "--db", study / "kerasprov.db")
    assert done.exit_code == 1 and "1 of " in done.stdout and path in done.stdout


def test_what_was_moved_is_found_by_its_content(study: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "below").mkdir(parents=True)
    (study / "raw").rename(elsewhere / "below" / "raw of then")
    (study / "model.keras").rename(elsewhere / "renamed.bin")
    (study / "shapes.py").rename(elsewhere / "forms.py")
    status, changed = states(study, study / "tuned.keras")
    assert status == 1 and set(changed.values()) == {"gone"} and len(changed) == 42
    status, rows = verified(study, study / "tuned.keras", "--search", elsewhere)
    assert status == 0
    assert rows["model.keras"]["state"] == "moved"
    assert rows["model.keras"]["found_at"] == str(elsewhere / "renamed.bin")
    assert rows["raw/05.npy"]["found_at"] == str(elsewhere / "below/raw of then/05.npy")
    assert rows["shapes.py"]["found_at"] == str(elsewhere / "forms.py")


def test_a_model_that_another_program_wrote_over_is_replaced(study: Path) -> None:
    again = (
        "import keras\nm = keras.models.load_model('model.keras')\n"
        "import numpy as np\nm.fit(np.ones((4, 4)), np.ones(4), verbose=0)\nm.save('model.keras')\n"
    )
    assert recorded(study, again, "--prov", "off", name="again.py").returncode == 0
    assert states(study, study / "tuned.keras") == (0, {"model.keras": "replaced"})
    # By somebody whom nobody recorded:
    one_byte(study / "model.keras")
    assert states(study, "--all") == (1, {"model.keras": "changed"})


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE source SET zlib = (SELECT zlib FROM other)", "is not the text of that hash"),
        ("UPDATE source SET zlib = x'00' WHERE rowid = 1", "can't be unpacked"),
        ("UPDATE content SET sha256 = replace(sha256, substr(sha256, 1, 6), 'abcdef') "
         "WHERE number = 5", "is not that of its hash"),
        ("DELETE FROM member WHERE path = '03.npy'", "is not that of its hash"),
    ],
)  # fmt: skip
def test_a_database_that_contradicts_itself(study: Path, statement: str, told: str) -> None:
    with closing(sqlite3.connect(study / "kerasprov.db")) as connection:
        connection.execute("CREATE TEMP TABLE other AS SELECT ? AS zlib", (zlib.compress(b"x"),))
        connection.execute(statement)
        connection.commit()
    done = kerasprov("verify", study / "tuned.keras", "--db", study / "kerasprov.db")
    assert done.exit_code == 1 and told in done.stdout, done.output
    assert "The database is not whole." in done.stdout


def test_nothing_is_read_that_need_not_be(study: Path) -> None:
    with open_record(str(study / "kerasprov.db")) as record:
        expected = list(Origin(record, str(study / "tuned.keras")).files())
    longer(study / "raw" / "05.npy")
    read: list[int] = []
    files = verifying.Files([], read.append)
    checked = [files.check(known) for known in [*expected, *expected]]
    sizes = [k.bytes for k in expected if not k.path.endswith("raw/05.npy")]
    assert sorted(read) == sorted(sizes) and sum(read) == verifying.to_read(expected)  # type: ignore[type-var]
    assert [c.state for c in checked].count("changed") == 2


@pytest.mark.slow
def test_files_known_by_their_parts_and_odd_names(tmp_path: Path) -> None:
    name = b"d\xe9\xff \n.npy".decode("utf-8", "surrogateescape")
    program = f"""
import keras, numpy as np
np.save({name!r}, np.arange(1_200_000, dtype="float32").reshape(-1, 4) % 7)
x = np.load({name!r})
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x[:64], x[:64].sum(1), verbose=0)
model.save("m.keras")
"""
    done = recorded(tmp_path, program, "--prov", "off", "--hash-size", "2M")
    assert done.returncode == 0, done.stderr.decode()
    status, rows = verified(tmp_path, "last")
    assert status == 0 and any(row["partial_sha256"] for row in rows.values())
    with (tmp_path / name).open("r+b") as file:
        file.seek(300)
        file.write(b"other")
    status, changed = states(tmp_path, "last")
    assert status == 1 and list(changed.values()) == ["changed"]


def test_bad_input_is_one_line(study: Path, tmp_path: Path) -> None:
    (tmp_path / "unknown.keras").write_bytes(b"never recorded")
    for words, told in (
        (["no-such-run"], "nothing recorded of 'no-such-run'"),
        ([tmp_path / "unknown.keras"], "nothing recorded of"),
        (["last", "--search", tmp_path / "nowhere"], "is no folder to search"),
    ):
        done = kerasprov("verify", *words, "--db", study / "kerasprov.db")
        assert done.exit_code == 2 and told in done.stderr, done.output
        assert done.stderr.count("\n") == 1 and not done.stdout
