"""Every command that the README and the pages of docs quote is run: here, or where it is said."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, kerasprov

PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")))  # fmt: skip
OF_OWN_TESTS = ("docs/questions.md", "docs/case-study.md", "docs/commands.md")
"""`tests/questions` and `tests/test_examples.py` run theirs; the last is made from click's own."""
COMMAND = re.compile(
    r"^\$? ?(kerasprov|sqlite-utils|python3?|pip|pytest|ruff|sphinx-build|docker|srun|sqlite3|mlflow)( |$)"
)
OUTPUT = re.compile(r"^[\w.]+\.db\*?$")
FILLED = {
    "PATH|RUN|HASH": "1", "RUN...": "1", "RUN": "1", "A B C": "1 1 1", "1 2 3": "1", "A B": "1 1", "FOLDER": "out",
    "NAME": "digits", "SELECT …": "SELECT 1", "model.keras": "1",
    "tuning/tuned.keras": "1",
}  # fmt: skip
"""What stands for something else, and what is run in its place."""

ELSEWHERE = {
    "python -m kerasprov_agent examples/digits.py": ("tests/conftest.py", "examples/digits.py"),
    "python -m kerasprov_agent": ("tests/conftest.py", '"-m", "kerasprov_agent"'),
    "python -m kerasprov_agent train.py ARGS…": ("tests/process/test_installed.py", "kerasprov_agent train.py"),
    "python -m kerasprov_agent train.py": ("tests/central/test_sending.py", '"kerasprov_agent", "train.py"'),
    "python benchmarks/central.py": ("tests/central/test_many.py", "central.py"),
    "python -m kerasprov_agent --db my.db train.py": ("tests/process/test_golden.py", "--db"),
    "python -m": ("tests/process/test_golden.py", '"-m"'),
    'pytest -q -n 2 -m "not slow"': ("README.md", 'pytest -q -n 2 -m "not slow"'),
    "pytest -q -n 2 -m slow": (".ci/run", "pytest -q -n 2 -m slow"),
    "ruff format --check . && ruff check . && mypy": (".ci/run", "ruff format --check ."),
    "python tests/matrix/run.py": (".ci/run", "python tests/matrix/run.py"),
    "python tests/matrix/run.py --write": (".ci/run", "python tests/matrix/run.py"),
    "python docs/generate.py": ("tests/test_docs.py", '"docs" / "generate.py"'),
    "python benchmarks/overhead.py": ("tests/test_benchmarks.py", "overhead.py"),
    "python benchmarks/overhead.py --write": ("tests/test_benchmarks.py", "overhead.py"),
    "python benchmarks/peers.py none kerasprov_agent CSVLogger":
        ("tests/test_benchmarks.py", "peers.py"),
    "python benchmarks/kills.py --kills 1000 --whole 50": ("tests/test_benchmarks.py", "kills.py"),
    "python benchmarks/overhead.py --parts --against benchmarks/figures.json":
        (".ci/run", "python benchmarks/overhead.py --parts --against benchmarks/figures.json"),
    "python examples/flowers/study.py --small --data flowers17": ("tests/test_examples.py", "study.py"),
    "python examples/flowers/study.py --small --data flowers17 --part 1/2": ("tests/test_examples.py", "--part"),
    "python examples/flowers/study.py --small --data flowers17 --part 2/2": ("tests/test_examples.py", "--part"),
    "python docs/case_study.py FOLDER": ("tests/test_examples.py", "case_study.py"),
    "python benchmarks/flowers.py --data flowers17 --pairs 8 --epochs 1": ("tests/test_benchmarks.py", "flowers.py"),
    "python benchmarks/documents.py": ("tests/test_benchmarks.py", "documents.py"),
    "python benchmarks/transparency/programs.py": ("tests/test_benchmarks.py", "programs.py"),
    "python benchmarks/transparency/suite.py --directory CHECKOUT PYTEST-ARGS…":
        ("tests/test_benchmarks.py", "suite.py"),
    "python benchmarks/questions.py": ("tests/test_benchmarks.py", "questions.py"),
    "sqlite-utils rows kerasprov.db runs --table": ("tests/cli/test_care.py", '"sqlite-utils", "rows"'),
    "sqlite3 kerasprov.db": ("tests/questions/answers.py", "What SQL answers"),
    "python benchmarks/viewer.py": ("tests/test_benchmarks.py", "viewer.py"),
    "pip install .": ("tests/process/test_installed.py", '"pip", "install"'),
    "python -m pip install .": ("tests/process/test_installed.py", '"pip", "install"'),
    "pip wheel --no-deps .": ("tests/process/test_installed.py", "wheel"),
    "pip uninstall kerasprov_agent": ("tests/process/test_installed.py", "uninstall"),
    "sphinx-build -W -b html docs site": (".ci/run", "sphinx-build"),
    "pip install '.[docs]'": (".ci/run", "'.[docs]'"),
    'python -c "import kerasprov_agent"': ("tests/process/test_installed.py", '"import kerasprov_agent'),
    "srun python -m kerasprov_agent train.py": ("tests/process/test_several.py", "SLURM_PROCID"),
}  # fmt: skip
"""What is run in another place: the file, and a text in it that shows this."""
SERVED = (ROOT / "tests/viewer/conftest.py").read_text()
EXTRA = re.compile(r"^pip install 'kerasprov_agent\[(\w+)\]'$")
"""What installs an extra; `setup.cfg` has them."""


OF_CENTRAL = re.compile(r"postgresql://|^kerasprov (push|pull|central|pack --every|runs --db team)")


def quoted(page: str) -> list[str]:
    """The commands of a page, each once, in order."""
    text = (ROOT / page).read_text()
    blocks = []
    for block in re.findall(r"```\w*\n(.*?)```", text, re.S):
        typed = [line for line in block.splitlines() if line.startswith("$ ")]
        blocks += typed or block.splitlines()  # beside what was typed, the rest is what it printed
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    lines = [line.removeprefix("$ ").partition("  #")[0].partition("     #")[0].strip() for line in (*blocks, *spans)]  # fmt: skip
    return list(dict.fromkeys(line for line in lines if COMMAND.match(line) and " " in line))


def variants(command: str) -> list[str]:
    """A command with each of its alternatives: `--format json|ttl`, `[--code|--env]`."""
    choice = re.search(r"\[([^\]]*)\]|(?<= )[\w-]+(\|[\w…-]+)+", command)
    if choice is None or choice[0] in FILLED:
        return [command]
    words = (choice[1] if choice[1] is not None else choice[0]).split("|")
    return [
        variant
        for word in words
        if word != "…"
        for variant in variants(command[: choice.start()] + word + command[choice.end() :])
    ]


def arguments(command: str, endings: dict[str, str]) -> list[str]:
    """The words of a command of ours, with names of this test in the place of placeholders."""
    for placeholder, text in FILLED.items():
        command = command.replace(placeholder, text)
    words = shlex.split(command)[1:]
    form = words[words.index("--format") + 1] if "--format" in words else ""
    name = endings.get(form, "out")
    if words[0] in ("import", "merge"):
        name = "log.csv" if words[0] == "import" else "other.db"
    return [re.sub(r"^FILE(\.\.\.|…)?$", name, word) for word in words]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in OF_OWN_TESTS])
def test_every_quoted_command_of_ours_runs(
    page: str, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = {"svg": "out.svg", "png": "out.png", "duckdb": "out.duckdb", "mlflow": "mlflow.db"}
    for number, command in enumerate(c for c in quoted(page) if c.startswith("kerasprov ")):
        if command.startswith("kerasprov view"):
            continue  # it would serve for ever; `tests/viewer` serves and ends it
        if command.startswith("kerasprov seal") or "--seal" in command:
            continue  # they need a key: `tests/evidence/test_seal.py`
        if command.endswith("reproduce RUN --run"):
            continue  # it installs all packages anew: `.ci/release` does that
        if OF_CENTRAL.search(command):
            continue  # `tests/central/test_quoted.py` has a PostgreSQL for them
        for choice, variant in enumerate(variants(command)):
            if re.search(r"--format (svg|png)", variant) and not shutil.which("dot"):
                continue  # Graphviz draws these; `.ci/run` installs it
            place = tmp_path / f"{number}-{choice}"
            place.mkdir()
            shutil.copy(digits, place / "kerasprov.db")
            for folder in ("laptop", "cluster"):
                (place / folder).mkdir()
                shutil.copy(digits, place / folder / "kerasprov.db")
            shutil.copy(digits, place / "other.db")
            (place / "log.csv").write_text("epoch,loss\n0,1.0\n")
            monkeypatch.chdir(place)
            monkeypatch.setenv("KERASPROV_DB", str(place / "kerasprov.db"))
            words = arguments(variant, endings)
            if words in ([word] for word in ("query", "rename", "note", "import", "delete", "sql")):
                words += ["--help"]  # the command is only named
            if words == ["pack"]:
                words += ["-o", "packed.db"]
            if words[0] == "export" and "-o" not in words:
                words += ["-o", endings.get(words[-1], "out")]
            done = kerasprov(*words)
            assert done.exit_code == 0, (variant, words, done.output)


@pytest.mark.parametrize("page", PAGES)
def test_every_other_command_is_run_where_it_is_said(page: str) -> None:
    extras = (ROOT / "setup.cfg").read_text().partition("[options.extras_require]")[2]
    for command in quoted(page):
        if command.startswith("kerasprov "):
            assert not command.startswith("kerasprov view") or '"view", "--db"' in SERVED
            continue
        extra = EXTRA.match(command)
        if extra is not None:
            assert f"\n{extra[1]} =" in extras, command
        elif ".venv" not in command:  # the README's two commands: see `test_docs`, and `.ci/run`
            place, text = ELSEWHERE[command]
            assert text in (ROOT / place).read_text(), command
