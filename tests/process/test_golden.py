"""`python -m kerasprov_agent X` is `python X`, to the byte."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.conftest import clean_environment

REPORT = """
import os, pickle, sys, threading, atexit
class Mine:
    def __init__(self): self.value = 3
main = sys.modules["__main__"]
print(__name__, main.__dict__ is globals())
print({k: repr(globals().get(k, "absent")) for k in ("__file__", "__package__", "__doc__")})
print(__spec__ and __spec__.name, type(__loader__).__name__, type(__builtins__).__name__)
print(sys.argv, sys.path[:2], os.getcwd())
print(pickle.loads(pickle.dumps(Mine())).value)
print(sorted(k for k in sys.modules["__main__"].__dict__ if k.startswith("__")))
def late():
    print("late", pickle.loads(pickle.dumps(Mine())).value, file=sys.stderr)
atexit.register(late)
"""

ENDINGS = {
    "normal end": "print('end')",
    "exception": "def f():\n    raise KeyError('gone')\nf()",
    "chained exception": "try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('x') from e",
    "own excepthook": "sys.excepthook = lambda *a: print('hook', a[0].__name__)\n1 / 0",
    "sys.exit(3)": "sys.exit(3)",
    "sys.exit(text)": "sys.exit('text')",
    "sys.exit()": "sys.exit()",
    "SIGINT": "import time, signal\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)",
    "SIGTERM": "import time, signal\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(5)",
    "syntax error": "this is no python",
    "os._exit": "sys.stdout.flush()\nos._exit(7)",
    "thread exception": "t = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
    "broken import": "import no_such_module_at_all",
}

SHAPES = ("script", "module", "package", "directory", "zip")


def lay_out(directory: Path, shape: str, text: str) -> list[str]:
    """Write a program in one of the shapes; returns what to give to python."""
    if shape == "script":
        (directory / "prog.py").write_text(text)
        return ["prog.py"]
    if shape == "module":
        (directory / "prog.py").write_text(text)
        return ["-m", "prog"]
    if shape == "package":
        (directory / "pack").mkdir()
        (directory / "pack" / "__init__.py").write_text("print('package', __name__)\n")
        (directory / "pack" / "__main__.py").write_text(text)
        return ["-m", "pack"]
    if shape == "directory":
        (directory / "prog").mkdir()
        (directory / "prog" / "__main__.py").write_text(text)
        return ["prog"]
    with zipfile.ZipFile(directory / "prog.zip", "w") as archive:
        archive.writestr("__main__.py", text)
    return ["prog.zip"]


def run(directory: Path, *words: str, options: tuple[str, ...] = ()) -> tuple[int, bytes, bytes]:
    """Exit status, stdout and stderr, addresses of objects masked."""
    done = subprocess.run(
        [sys.executable, *options, *words],
        cwd=directory,
        env=clean_environment(PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    masked = [re.sub(rb"0x[0-9a-f]+", b"0x", text) for text in (done.stdout, done.stderr)]
    masked[1] = re.sub(rb"Thread-\d+", b"Thread", masked[1])
    return done.returncode, masked[0], masked[1]


def same(directory: Path, *words: str, options: tuple[str, ...] = ()) -> tuple[int, bytes, bytes]:
    """Run plainly and under the agent; both must be the same."""
    plain = run(directory, *words, options=options)
    under = run(directory, "-m", "kerasprov_agent", *words, options=options)
    assert under == plain
    return plain


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_runner_is_python(tmp_path: Path, shape: str, ending: str) -> None:
    text = ENDINGS[ending] if ending == "syntax error" else REPORT + ENDINGS[ending]
    words = lay_out(tmp_path, shape, text)
    plain = same(tmp_path, *words, "--epochs", "3", "-m", "--db", "a b")
    assert plain[1] or ending == "syntax error"


@pytest.mark.parametrize("words", [["nosuch.py"], ["-m", "nosuch"], ["nosuch"], ["-m", "a.b.c"]])
def test_what_is_missing_is_missed_as_python_misses_it(tmp_path: Path, words: list[str]) -> None:
    status, _, errors = same(tmp_path, *words)
    assert status in (1, 2) and errors


@pytest.mark.parametrize("options", [("-P",), ("-O",), ("-W", "error"), ("-B", "-u")])
def test_options_of_the_interpreter_hold(tmp_path: Path, options: tuple[str, ...]) -> None:
    if options == ("-P",) and sys.version_info < (3, 11):
        pytest.skip("-P came with Python 3.11")
    text = REPORT + "\nprint(__debug__, sys.flags.optimize, sys.warnoptions)"
    same(tmp_path, *lay_out(tmp_path, "script", text), options=options)


def test_a_directory_without_a_main_module(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    same(tmp_path, "empty")


SPAWN = """
import multiprocessing as mp
class Job:
    def __init__(self, n): self.n = n
    def __eq__(self, other): return self.n == other.n
def work(job): return Job(job.n * 2)
if __name__ == "__main__":
    with mp.get_context("{method}").Pool(2) as pool:
        print([job.n for job in pool.map(work, [Job(n) for n in range(4)])])
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.parametrize("shape", ["script", "module"])
def test_pools_return_objects_of_classes_in_main(tmp_path: Path, shape: str, method: str) -> None:
    words = lay_out(tmp_path, shape, SPAWN.replace("{method}", method))
    status, output, _ = same(tmp_path, *words)
    assert (status, output.split()) == (0, b"[0, 2, 4, 6]".split())


def test_ctrl_c_from_outside(tmp_path: Path) -> None:
    text = "import time, sys\nprint('up', flush=True)\ntime.sleep(30)\n"
    words = lay_out(tmp_path, "script", text)
    endings = []
    for runner in ([], ["-m", "kerasprov_agent"]):
        child = subprocess.Popen(
            [sys.executable, *runner, *words],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        time.sleep(0.2)
        os.kill(child.pid, signal.SIGINT)
        endings.append((child.communicate(timeout=30)[1], child.returncode))
    assert endings[0] == endings[1]


def test_our_options_end_where_the_program_begins(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text("import sys; print(sys.argv)")
    done = run(
        tmp_path, "-m", "kerasprov_agent", "--db", "x.db", "--name=n", "prog.py", "--name", "mine"
    )
    assert done == (0, b"['prog.py', '--name', 'mine']\n", b"")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], b"nothing to run"),
        (["--colour", "x.py"], b"unknown option --colour"),
        (["--db"], b"--db needs PATH"),
        (["--tags", "novalue", "x.py"], b"not of the form key=value"),
        (["runs"], b"try: kerasprov runs"),
        (["-"], b"standard input"),
    ],
)
def test_our_own_usage_errors_are_one_line_and_status_2(
    tmp_path: Path, words: list[str], complaint: bytes
) -> None:
    status, output, errors = run(tmp_path, "-m", "kerasprov_agent", *words)
    assert (status, output) == (2, b"")
    assert complaint in errors and b"Traceback" not in errors
