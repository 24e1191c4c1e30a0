"""Every benchmark runs, with sizes so small that its figures mean nothing; none is asserted."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.conftest import ROOT, python

BENCHMARKS = ROOT / "benchmarks"


def test_the_agent_tells_its_own_time(tmp_path: Path) -> None:
    words = ("--child", "own", "--epochs", "2")
    done = python(BENCHMARKS / "overhead.py", *words, directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout.splitlines()[-1])
    assert [len(each["epochs.after_epoch"]) for each in found["trainings"][:3]] == [2, 2, 2]
    assert len(found["trainings"][3]["opened"]) >= 300
    assert len(found["trainings"][2]["CSVLogger"]) == 2
    assert found["armed"] >= 0 and len(found["ended"]) == 2


@pytest.mark.slow
def test_overhead(tmp_path: Path) -> None:
    words = ("--pairs", "1", "--epochs", "3", "--json")
    done = python(BENCHMARKS / "overhead.py", *words, directory=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["whole process"]["agent"]["cpu"]["median"] > 0


@pytest.mark.slow
def test_the_agents_own_time_is_compared_with_what_was_kept(tmp_path: Path) -> None:
    kept = json.loads((BENCHMARKS / "figures.json").read_text())["tensorflow"]
    for factor, status in ((1000, 0), (0.001, 1)):
        own = kept["own CPU milliseconds"]
        other = {name: value * (1 if name == "(unit)" else factor) for name, value in own.items()}
        (tmp_path / "kept.json").write_text(
            json.dumps({"tensorflow": {"own CPU milliseconds": other}})
        )
        words = ("--epochs", "2", "--tries", "1", "--against", tmp_path / "kept.json")
        done = python(BENCHMARKS / "overhead.py", *words, directory=tmp_path, timeout=900)
        assert done.returncode == status, done.stderr.decode()
        assert ("MORE" in done.stdout.decode()) == bool(status)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("growth.py", "--small", "metrics", "sets", "fits", "arrays"),
            ("10 metrics an epoch", "10 sets of 10 files", "20 fits: at first", "30 arrays: at"),
        ),
        (("documents.py", "5", "3", "1"), ("streamed", "built by prov", "ratio")),
        (("questions.py", "20", "3"), ("20 runs",)),
        (("viewer.py", "20", "3"), ("20 runs", "first page", "curves of runs 1-20")),
        (("transparency/programs.py", "sequential_dense"), ("programs",)),
        (("flowers.py", "--size", "32", "--epochs", "1", "--pairs", "1"), ("AlexNet", "wall")),
    ],
    ids=lambda value: value[0],
)
def test_benchmark(tmp_path: Path, words: tuple[str, ...], told: tuple[str, ...]) -> None:
    done = python(BENCHMARKS / words[0], *words[1:], directory=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr.decode()
    for text in told:
        assert text in done.stdout.decode()


@pytest.mark.slow
def test_kills_lose_nothing(tmp_path: Path) -> None:
    words = ("--kills", "8", "--whole", "1", "--seed", str(random.randrange(10**6)))
    done = python(BENCHMARKS / "kills.py", *words, directory=tmp_path, timeout=900)
    assert done.returncode == 0, (words, done.stdout.decode(), done.stderr.decode())
    assert "8 kills, 1 of whole programs" in done.stdout.decode()
    # It sees what is lost: the file without the last epoch of each training.
    program = (
        "import kills\n"
        "check = kills.check\n"
        "def without(database, *more):\n"
        "    with kills.closing(kills.sqlite3.connect(database)) as connection, connection:\n"
        "        connection.execute('DELETE FROM epoch WHERE epoch = 0')\n"
        "    check(database, *more)\n"
        "kills.check = without\n"
        "kills.main()\n"
    )
    (tmp_path / "lossy.py").write_text(program)
    done = python(
        "lossy.py", "--kills", "2", "--whole", "0", directory=tmp_path, timeout=900,
        variables={"PYTHONPATH": str(BENCHMARKS)},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout.decode()


@pytest.mark.slow
def test_what_tools_recorded_is_found_in_what_they_left(tmp_path: Path) -> None:
    words = ("kerasprov_agent", "CSVLogger", "--pairs", "1", "--epochs", "2")
    done = python(BENCHMARKS / "peers.py", *words, directory=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr.decode()
    marks = {line[:-6].strip(): line[-4:].split() for line in done.stdout.decode().splitlines()}
    assert marks["found in what was left"] == ["A", "B"]
    assert marks["loss of each epoch"] == ["x", "x"]
    for fact in ("learning rate", "its digest", "source code", "command line", "packages"):
        assert marks[fact] == ["x", "-"]
    done = python(BENCHMARKS / "peers.py", "Unknown", directory=tmp_path)
    assert done.returncode == 2 and b"no such tool: Unknown" in done.stderr


@pytest.mark.slow
def test_a_suite_without_and_with_the_agent(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    import keras\n    assert keras\n")
    suite = BENCHMARKS / "transparency" / "suite.py"
    done = python(suite, "--directory", tmp_path, "test_it.py", directory=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr.decode()
