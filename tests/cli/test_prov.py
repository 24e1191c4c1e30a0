"""`kerasprov prov`: what is asked for, and what is asked wrongly."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import kerasprov_agent
from kerasprov_agent import documents
from kerasprov_agent.cli import main
from kerasprov_agent.errors import KerasProvError, UnknownRun
from tests.conftest import clean_environment, row, rows


def kerasprov(*words: str | Path) -> Any:
    return CliRunner().invoke(main, ["prov", *map(str, words)])


@pytest.mark.parametrize("format_", documents.FORMATS)
def test_every_format(digits: Path, tmp_path: Path, format_: str) -> None:
    if format_ in ("svg", "png") and not shutil.which("dot"):
        pytest.skip("needs Graphviz")
    target = tmp_path / "document"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        done = kerasprov("digits", "--format", format_, "-o", target, "--db", digits)
    assert (done.exit_code, done.output) == (0, "")
    assert target.stat().st_size > 1000 and list(tmp_path.iterdir()) == [target]


@pytest.mark.slow
def test_all_of_a_database(pipeline: Path, tmp_path: Path) -> None:
    for options, bundles in (
        (["--all"], 0),
        (["--all", "--bundles"], 3),
        (["1", "1", "--bundles"], 1),
    ):
        found = json.loads(kerasprov(*options, "--db", pipeline).stdout)
        assert len(found.get("bundle", {})) == bundles


def test_some_runs_of_a_program(programs: dict[str, Path]) -> None:
    path = programs["two fits"]
    both = json.loads(kerasprov("1", "2", "--db", path).stdout)
    one = json.loads(kerasprov("2", "--db", path).stdout)
    whole = json.loads(kerasprov("2", "--execution", "--db", path).stdout)
    assert {"run:fit-1", "run:fit-2"} <= set(both["activity"])
    assert "run:fit-1" not in one["activity"] and "run:fit-1" in whole["activity"]


def test_a_program_that_trained_nothing(programs: dict[str, Path]) -> None:
    path = programs["no fit"]
    label = row(path, "SELECT label FROM execution")["label"]
    assert "x.npy" in kerasprov(label, "--db", path).stdout


def test_as_functions(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASPROV_DB", str(digits))
    made = kerasprov_agent.provenance()
    assert {str(one.identifier) for one in made.get_records()} >= {"run:fit-1", "run:execution"}
    assert len(list(kerasprov_agent.provenance("last", bundles=True).bundles)) == 1
    short = kerasprov_agent.provenance("1", profile="summary")
    assert len(list(short.get_records())) < len(list(made.get_records()))
    target = kerasprov_agent.write_provenance(tmp_path / "out.provn", "last")
    assert target.read_text().startswith("document\n")
    with pytest.raises(KerasProvError, match="no format"):
        kerasprov_agent.write_provenance(tmp_path / "out.pdf")
    with pytest.raises(KerasProvError, match="no profile"):
        kerasprov_agent.provenance(profile="long")
    with pytest.raises(UnknownRun):
        kerasprov_agent.provenance("nothing of the kind")


def test_what_is_named_by_settings(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASPROV_BASE", "https://lab.example.org/prov/")
    assert "https://lab.example.org/prov/ns#" in kerasprov("--db", digits).stdout
    monkeypatch.setenv("KERASPROV_BASE", "lab")
    done = kerasprov("--db", digits)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and "IRI" in done.stderr


@pytest.mark.parametrize("module", ["rdflib", "lxml"])
def test_a_missing_extra_gets_one_line(digits: Path, tmp_path: Path, module: str) -> None:
    """In an environment without it, as `pip install kerasprov_agent` alone makes one."""
    (tmp_path / "hide.py").write_text(
        "import importlib.util as u, sys\n"
        f"find = u.find_spec\nu.find_spec = lambda n, *a: None if n == {module!r} else find(n, *a)\n"
        "from kerasprov_agent.cli import main\nmain()\n"
    )
    format_, extra = {"rdflib": ("ttl", "rdf"), "lxml": ("xml", "xml")}[module]
    command = [sys.executable, "hide.py", "prov", "--db", str(digits), "--format", format_]
    done = subprocess.run(
        [*command, "-o", "out"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert f"pip install 'kerasprov_agent[{extra}]'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["hide.py"]


def test_an_empty_database(digits: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    with closing(sqlite3.connect(digits)) as full, closing(sqlite3.connect(path)) as empty:
        full.backup(empty)
        names = [
            name for (name,) in empty.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for name in names:
            if name not in ("meta", "metric"):
                empty.execute(f"DELETE FROM {name}")
        empty.commit()
    for words in ([], ["--all"], ["1", "--bundles"]):
        done = kerasprov(*words, "--db", path)
        assert (done.exit_code, done.stderr.count("\n"), done.stdout) == (2, 1, "")


def test_an_unknown_run_leaves_the_target_as_it_was(digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("mine")
    done = kerasprov("digit", "-o", target, "--db", digits)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1) and "digits" in done.stderr
    assert target.read_text() == "mine" and list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name == "nt", reason="/dev/full is a device of Linux")
def test_a_full_disk(digits: Path) -> None:
    command = [sys.executable, "-m", "kerasprov_agent.cli", "prov", "--db", str(digits)]
    script = "from kerasprov_agent.cli import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script, *command[3:]],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr


def test_a_target_that_is_no_file(digits: Path, tmp_path: Path) -> None:
    """A pipe is written into, and stays one; a directory is told of."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        assert kerasprov("-o", pipe, "--db", digits).exit_code == 0
        assert reader.stdout is not None and json.load(reader.stdout)["activity"]
    assert pipe.is_fifo()
    done = kerasprov("-o", tmp_path, "--db", digits)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_pipe_that_closes(digits: Path) -> None:
    script = "from kerasprov_agent.cli import main; main()"
    done = subprocess.run(
        f"{sys.executable} -c '{script}' prov --db {digits} | head -c 10",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_a_person_is_named_by_orcid_where_it_is_told(pipeline: Path) -> None:
    told = [
        one["orcid"] for one in rows(pipeline, "SELECT orcid FROM execution ORDER BY started_at")
    ]
    assert told == [None, "0000-0002-1825-0097", None]
