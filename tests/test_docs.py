"""The documentation says what the program does."""

from __future__ import annotations

import ast
import re
import runpy
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import ROOT, kerasprov

GENERATED = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("page", GENERATED)
def test_generated_pages_are_up_to_date(page: str) -> None:
    assert (ROOT / "docs" / page).read_text() == GENERATED[page](), "run docs/generate.py"


def test_every_table_view_and_column_is_documented(digits: Path) -> None:
    text = (ROOT / "docs" / "schema.md").read_text()
    with closing(sqlite3.connect(digits)) as connection:
        metrics = {row[0] for row in connection.execute("SELECT column_name FROM metric")}
        names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        for (name,) in names.fetchall():
            assert f"### {name}\n" in text
            for row in connection.execute(f"PRAGMA table_info({name})"):
                assert f"`{row[1]}`" in text or row[1] in metrics, (name, row[1])


def test_the_queries_of_the_page_run(digits: Path) -> None:
    text = (ROOT / "docs" / "schema.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert queries
    with closing(sqlite3.connect(digits)) as connection:
        for query in queries[0].strip().split(";"):
            if query.strip():
                assert connection.execute(query).fetchall()


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_within_the_project_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def messages() -> set[str]:
    """What the package may say: its texts, with `…` for what is filled in."""
    found = set()
    for path in (ROOT / "kerasprov_agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
                found.add("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_each_message_that_troubleshooting_explains_is_said() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    explained = re.findall(r"^### `(.*)`$", text, re.MULTILINE)
    said = messages()
    assert len(explained) > 10
    for message in explained:
        pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
        assert any(pattern.match(one) for one in said), message


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_the_readme_and_ci_run_the_same_command() -> None:
    """CI takes the command for the tests from the README as it stands there."""
    commands = re.findall(r"```sh\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    tests = [c for c in commands if "pytest" in c]
    assert len(tests) == 1 and "README.md" in (ROOT / ".ci" / "run").read_text()


def test_the_page_shows_what_show_prints(digits: Path) -> None:
    text = (ROOT / "docs" / "using.md").read_text()
    block = text.partition("$ kerasprov show\n")[2].partition("```")[0]
    own = ("started", "took", "program", "git", "software", "machine")  # of another machine
    told = [
        line.split()
        for line in kerasprov("show", "--db", digits).stdout.splitlines()
        if line.strip()
    ]
    shown = [line for line in block.splitlines() if line.strip() and line.strip() != "…"]
    assert len(shown) > 30
    for line in shown:
        if line.startswith(own):
            assert line.split()[0] in {words[0] for words in told} | {"git"}, line
        else:
            words = [word for word in line.split() if not re.search(r"[0-9▁-█]", word)]
            assert any(set(words) <= set(one) for one in told), line


def test_the_changelog_is_kept_as_the_standard_says() -> None:
    from kerasprov_agent.version import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert "keepachangelog.com" in text and f"\n## [{__version__}] - " in text
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
