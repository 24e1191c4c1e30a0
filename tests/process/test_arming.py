"""The three doors arm without a trace, and do nothing at all when told so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kerasprov_agent
from tests.conftest import ROOT, TINY, clean_environment, python, recorded, rest_is_slow, row, rows

BOOTSTRAP = Path(kerasprov_agent.__file__).parent / "bootstrap"
SITE_SOURCE = ROOT / "sitecustomize_example" / "sitecustomize.py"

STANDARD = frozenset(("atexit", "logging", "__future__"))
"""What arming may bring of the standard library beyond what the interpreter has loaded."""


def modules_after(statement: str, *options: str, **variables: str) -> set[str]:
    """The modules that are loaded after a statement, beyond those of a bare interpreter."""
    found = []
    for code in ("pass", statement):
        done = subprocess.run(
            [sys.executable, *options, "-c", f"import sys; {code}; print(*sys.modules)"],
            env=clean_environment(**variables),
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(set(done.stdout.split()))
    return found[1] - found[0]


def test_arming_imports_nothing() -> None:
    new = modules_after("import kerasprov_agent")
    ours = {name for name in new if name.partition(".")[0] == "kerasprov_agent"}
    assert new - ours <= STANDARD
    names = (
        "clock",
        "guard",
        "identity",
        "settings",
        "silence",
        "tracebacks",
        "version",
        "capture",
        "capture.import_hook",
    )
    names += ("capture.lifetime", "capture.files", "capture.files.marks", "capture.files.versions")
    names += ("capture.files.watching", "capture.worker")
    names += ("capture.session", "capture.files.interest", "capture.files.seen")
    assert ours == {"kerasprov_agent", *(f"kerasprov_agent.{name}" for name in names)}


def test_disabled_does_nothing_at_all() -> None:
    code = (
        "import sys; before = list(sys.meta_path); import kerasprov_agent;"
        "assert sys.meta_path == before; assert 'kerasprov_agent.capture.hooks' not in sys.modules"
    )
    modules_after(code, KERASPROV_DISABLED="1")


@pytest.mark.parametrize(
    "door", rest_is_slow(["runner", "import", "sitecustomize", "option"], "runner", "sitecustomize")
)
def test_no_door_records_when_disabled(tmp_path: Path, door: str) -> None:
    (tmp_path / "train.py").write_text(
        ("import kerasprov_agent\n" if door == "import" else "")
        + TINY
        + "\nmodel.fit(x, y, verbose=0)\nprint(type(keras.Model.fit).__name__)\n"
    )
    words = ["-m", "kerasprov_agent"] if door in ("runner", "option") else []
    words += ["--disabled"] if door == "option" else []
    variables = {} if door == "option" else {"KERASPROV_DISABLED": "1"}
    if door == "sitecustomize":
        variables["PYTHONPATH"] = str(BOOTSTRAP)
    done = python(*words, "train.py", directory=tmp_path, variables=variables)
    assert (done.returncode, done.stdout) == (0, b"function\n"), done.stderr
    assert not list(tmp_path.glob("kerasprov*"))


@pytest.mark.parametrize("door", ["runner", "import", "import after keras", "sitecustomize"])
def test_every_door_records(tmp_path: Path, door: str) -> None:
    training = TINY + "\nmodel.fit(x, y, epochs=2, verbose=0)\n"
    if door == "import":
        training = "import kerasprov_agent\n" + training
    elif door == "import after keras":
        training = training.replace("import keras,", "import keras, kerasprov_agent,")
    (tmp_path / "train.py").write_text(training)
    variables = {"PYTHONPATH": str(BOOTSTRAP)} if door == "sitecustomize" else {}
    words = ["-m", "kerasprov_agent"] if door == "runner" else []
    done = python(*words, "train.py", directory=tmp_path, variables=variables)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    found = row(tmp_path / "kerasprov.db", "SELECT * FROM runs")
    assert (found["name"], found["status"], found["epochs_finished"]) == ("train", "finished", 2)
    execution = row(tmp_path / "kerasprov.db", "SELECT * FROM execution")
    assert (execution["kind"], execution["script"]) == ("script", str(tmp_path / "train.py"))
    assert execution["status"] == "finished"
    assert [p.name for p in (tmp_path / "kerasprov-prov").glob("*.json")] == [
        f"train-{execution['id']}.json"
    ]


@pytest.mark.parametrize("shape", rest_is_slow(["module", "package", "directory", "zip"], "module"))
def test_other_programs_than_scripts_are_named(tmp_path: Path, shape: str) -> None:
    from tests.process.test_golden import lay_out

    words = lay_out(tmp_path, shape, TINY + "\nmodel.fit(x, y, verbose=0)\n")
    done = python("-m", "kerasprov_agent", *words, "--flag", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    found = row(tmp_path / "kerasprov.db", "SELECT * FROM execution")
    expected = {
        "module": ("module", "prog"),
        "package": ("module", "pack"),
        "directory": ("directory", str(tmp_path / "prog")),
        "zip": ("zip", str(tmp_path / "prog.zip")),
    }
    assert (found["kind"], found["script"]) == expected[shape]
    assert found["arguments"] == '["--flag"]'


def test_the_example_is_the_packages_own_file() -> None:
    assert SITE_SOURCE.read_bytes() == (BOOTSTRAP / "sitecustomize.py").read_bytes()
    assert [p.name for p in SITE_SOURCE.parent.iterdir() if p.suffix == ".py"] == [
        "sitecustomize.py"
    ]


USERS_OWN = {
    "none": None,
    "good": "print('mine')",
    "raising": "raise RuntimeError('mine is broken')",
    "imports keras": "import keras; print('mine has keras')",
}


@pytest.mark.slow
@pytest.mark.parametrize("disabled", ["0", "1"])
@pytest.mark.parametrize("users", USERS_OWN)
@pytest.mark.parametrize("options", [(), ("-S",), ("-I",)])
def test_a_hidden_sitecustomize_runs_as_without_us(
    tmp_path: Path, options: tuple[str, ...], users: str, disabled: str
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    text = USERS_OWN[users]
    if text is not None:
        (theirs / "sitecustomize.py").write_text(text)
    ours = tmp_path / "ours"
    shutil.copytree(SITE_SOURCE.parent, ours)
    code = "import sys; m = sys.modules.get('sitecustomize'); print(getattr(m, '__file__', None))"
    outputs = []
    for path in ([theirs], [ours, theirs], [theirs, ours]):
        done = subprocess.run(
            [sys.executable, *options, "-c", code],
            env=clean_environment(
                PYTHONPATH=os.pathsep.join(map(str, path)), KERASPROV_DISABLED=disabled
            ),
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        # TensorFlow's own messages carry the time and the process, padded with spaces.
        outputs.append((done.returncode, done.stdout, re.sub(r" *\d+", " N", done.stderr)))
    if users != "none":
        assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.slow
def test_arming_twice_and_reloading_make_no_difference(tmp_path: Path) -> None:
    script = (
        "import importlib, kerasprov_agent\nkerasprov_agent.start()\n"
        "importlib.reload(kerasprov_agent)\n"
        + TINY
        + "importlib.reload(keras)\nimportlib.reload(kerasprov_agent)\n"
        "model.fit(x, y, epochs=2, verbose=0)\nmodel.evaluate(x, y, verbose=0)\n"
    )
    assert recorded(tmp_path, script).returncode == 0
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM run")) == 1
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM epoch")) == 2
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM compile")) == 1
    assert len(rows(tmp_path / "kerasprov.db", "SELECT * FROM evaluation")) == 1


def test_a_fault_of_ours_does_not_reach_the_users_import(tmp_path: Path) -> None:
    script = """
import sys, kerasprov_agent
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "kerasprov_agent.capture.hooks":
            raise RuntimeError("broken on purpose")
sys.meta_path.insert(0, Broken())
import keras
print("imported", type(keras.Model.fit).__name__)
"""
    (tmp_path / "train.py").write_text(script)
    done = python("train.py", directory=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"imported function\n"), done.stderr
    assert done.stderr.count(b"broken on purpose") == 1 and b"Traceback" not in done.stderr


def test_import_errors_of_keras_look_as_without_us(tmp_path: Path) -> None:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text("def f():\n    return {}['no']\nf()\n")
    (tmp_path / "train.py").write_text("import keras\n")
    plain = python("train.py", directory=tmp_path)
    under = python("-m", "kerasprov_agent", "train.py", directory=tmp_path)
    assert plain.returncode == under.returncode == 1
    if sys.version_info >= (3, 11):
        assert under.stderr == plain.stderr


def test_the_environment_can_still_be_set_after_arming(tmp_path: Path) -> None:
    script = (
        "import os, sys\nassert 'numpy' not in sys.modules\nos.environ['OMP_NUM_THREADS']='1'\n"
    )
    assert recorded(tmp_path, script).returncode == 0


COMMAND = """
import os, sys
hooked = []
def hook(*functions):
    hooked.extend(one for one in functions if "kerasprov" in str(one.__module__))
sys.addaudithook = hook
os.register_at_fork = lambda **handlers: hook(*handlers.values())
finders = list(sys.meta_path)
from kerasprov_agent.cli import main
try:
    main(sys.argv[1:])
except SystemExit as exc:
    assert not exc.code, exc.code
assert not hooked and sys.meta_path == finders, (hooked, sys.meta_path)
ours = [name for name in sys.modules if name.startswith("kerasprov_agent.capture.")]
light = (
    "import_hook", "lifetime", "session", "worker", "files", "files.interest", "files.marks",
    "files.seen", "files.versions", "files.watching",
)
assert set(ours) <= {f"kerasprov_agent.capture.{name}" for name in light}, ours
"""


@pytest.mark.parametrize(
    "words",
    [
        ("runs",), ("show",), ("best", "accuracy"), ("query", "run, epoch, loss"), ("diff", "1", "1"),
        ("lineage",), ("prov", "last"), ("plot", "--json"), ("trials",), ("doctor",), ("config",),
        ("export", "--format", "csv", "-o", "out"), ("note", "1", "x"), ("tag", "1", "a=b"),
        ("pack", "-o", "packed.db"), ("import", "log.csv"), ("delete", "1", "--yes"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_command_arms_nothing(digits: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    shutil.copy(digits, tmp_path / "kerasprov.db")
    (tmp_path / "log.csv").write_text("epoch,loss\n0,1.0\n")
    done = python("-c", COMMAND, *words, directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
