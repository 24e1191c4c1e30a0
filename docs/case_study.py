"""Make `case-study.md` from a study: its commands are run, their answers and pictures put in.

    python docs/case_study.py FOLDER [--as OLD=NEW ...]

FOLDER holds the `kerasprov.db` of `examples/flowers/study.py`. `--as` writes paths and names of the
machine in another way. Needs the extras `plot`, `view` and `test`, Graphviz and a Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "case-study.md"
IMAGES = HERE / "images" / "case-study"
ANSWERED = re.compile(
    r"```sh\n((?:kerasprov [^\n]*\n)+)```\n(\n```text\n)?(?(2)(.*?)```\n)", re.DOTALL
)
ASKED = "#/ask?q=epoch,+accuracy,+loss,+val_loss+where+val_loss+<+2.2+order+by+val_loss"
COMMAND = [sys.executable, "-c", "from kerasprov_agent.cli import main; main()"]
WIDTH = "100"


def renamed(database: Path, names: list[tuple[str, str]]) -> None:
    """Write texts in another way, in every column of every table."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for column in connection.execute(f"PRAGMA table_info({table})").fetchall():
                for old, new in names:
                    connection.execute(
                        f'UPDATE {table} SET "{column[1]}" = replace("{column[1]}", ?, ?) '
                        f'WHERE typeof("{column[1]}") = \'text\' AND "{column[1]}" LIKE ?',
                        (old, new, f"%{old}%"),
                    )
        connection.commit()


def answers(page: str, directory: Path) -> str:
    """The page with what its commands print now; the pictures that they draw lie in `directory`."""

    def answered(match: re.Match[str]) -> str:
        printed = []
        for line in match[1].splitlines():
            done = subprocess.run(
                [*COMMAND, *shlex.split(line)[1:]], cwd=directory, capture_output=True, text=True,
                env={**os.environ, "COLUMNS": WIDTH}, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            if done.returncode:
                raise SystemExit(f"{line}\n{done.stderr}")
            lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
            printed.append("\n".join(lines))
        text = "\n\n".join(filter(None, printed))
        block = f"\n```text\n{text}\n```\n" if match[2] else ""
        return f"```sh\n{match[1]}```\n{block}"

    return ANSWERED.sub(answered, page)


def picture_of_the_question(directory: Path) -> None:
    """A picture of the page on which the question was asked."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    words = ["view", "--no-open", "--port", "0"]
    server = subprocess.Popen([*COMMAND, *words], cwd=directory, text=True, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(found[0] + ASKED)
            page.wait_for_selector("main[data-page]")
            page.wait_for_timeout(1500)
            page.screenshot(path=directory / "ask.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Write the page and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as", dest="names", action="append", default=[], metavar="OLD=NEW")
    parser.add_argument("--output", type=Path, default=PAGE, help="write another page")
    parser.add_argument("--images", type=Path, default=IMAGES, help="write the pictures there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        with (
            closing(sqlite3.connect(given.folder / "kerasprov.db")) as source,
            closing(sqlite3.connect(directory / "kerasprov.db")) as copy,
        ):
            source.backup(copy)
        renamed(directory / "kerasprov.db", [tuple(n.split("=", 1)) for n in given.names])
        text = answers(PAGE.read_text(encoding="utf-8"), directory)
        picture_of_the_question(directory)
        given.images.mkdir(parents=True, exist_ok=True)
        for picture in directory.glob("*.png"):
            shutil.copy(picture, given.images / picture.name)
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
