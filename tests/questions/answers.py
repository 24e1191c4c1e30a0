"""The questions of docs/questions.md: what they ask, and writing their answers into the page.

python -m tests.questions.answers writes the answers anew.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ROOT, kerasprov, recorded, rows
from tests.exchange import ancestors

WIDTH = 100
"""Columns of the terminal in which the page's answers were printed."""

PAGE = ROOT / "docs" / "questions.md"
BLOCK = re.compile(
    r"### (A\d+)\.[^\n]*\n\n```sql\n(.*?)\n```\n```sh\n(.*?)\n```\n(?:```text\n(.*?)\n```\n)?",
    re.DOTALL,
)
CHECKPOINTS = """
import keras, numpy as np
x = np.ones((8, 2), "float32")
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "tanh")])
model.compile("rmsprop", "mse")
model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[
    keras.callbacks.ModelCheckpoint("model-{epoch}.keras")])
"""


class Question(NamedTuple):
    """A question with its statements and commands, which come in pairs, and its answer."""

    name: str
    statements: list[str]
    commands: list[list[str]]
    answer: str | None


def questions() -> Iterator[Question]:
    """The questions of the page."""
    for name, sql, commands, answer in BLOCK.findall(PAGE.read_text()):
        lines = [shlex.split(line) for line in commands.splitlines()]
        yield Question(name, sql.splitlines(), lines, answer or None)


def database(directory: Path) -> Path:
    """The database of which the page tells."""
    found = directory / "kerasprov.db"
    for name, text in (("flowers.sql", ancestors.dump()), ("digits.json", ancestors.document())):
        (directory / name).write_text(text)
        done = kerasprov("import", directory / name, "--db", found)
        assert done.exit_code == 0, done.output
    done = recorded(directory, CHECKPOINTS)
    assert done.returncode == 0, done.stderr
    return found


def asked(db: Path, statement: str) -> list[dict[str, Any]]:
    """What SQL answers."""
    return rows(db, statement)


def commanded(db: Path, words: list[str]) -> list[dict[str, Any]]:
    """What a command answers: its rows, the files of a graph, or lines of paths."""
    assert words[0] == "kerasprov"
    form = (
        [] if "--files" in words else ["--format", "json"] if words[1] == "lineage" else ["--json"]
    )
    done = kerasprov(*words[1:], *form, "--db", db)
    assert done.exit_code == 0, done.output
    if "--files" in words:
        return [{"path": line} for line in done.stdout.splitlines()]
    found = json.loads(done.stdout)
    if isinstance(found, dict):
        paths = [node["path"] for node in found["nodes"] if node.get("path")]
        return [{"path": path} for path in sorted(paths)]
    return [{key.rpartition(".")[2] if "(" not in key else key: value for key, value in row.items()}
            for row in found]  # fmt: skip


def same(sql: list[dict[str, Any]], command: list[dict[str, Any]]) -> bool:
    """Whether a command answers what SQL does; it may tell more of each row."""
    if sql and command and set(sql[0]) <= set(command[0]):
        command = [{name: row[name] for name in sql[0]} for row in command]
    return [list(row.values()) for row in sql] == [list(row.values()) for row in command]


def answer(db: Path, question: Question) -> str:
    """The answer as the page has it: all that its commands print."""
    printed = []
    for words in question.commands:
        done = kerasprov(*words[1:], "--db", db, env={"COLUMNS": str(WIDTH)})
        assert done.exit_code == 0, done.output
        printed.append("\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines()))
    return "\n\n".join(printed)


def main() -> None:
    """Write the answers into the page."""
    with tempfile.TemporaryDirectory() as directory:
        db = database(Path(directory))
        told = {question.name: answer(db, question) for question in questions()}

    def with_answer(match: re.Match[str]) -> str:
        head = match[0].partition("```text\n")[0]
        return f"{head}```text\n{told[match[1]]}\n```\n"

    PAGE.write_text(BLOCK.sub(with_answer, PAGE.read_text()))


if __name__ == "__main__":
    sys.exit(main())
