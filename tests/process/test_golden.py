"""`python -m kerasprov_agent X` is `python X`, to the byte."""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.conftest import clean_environment, recorded, row

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
    if not hasattr(sys, "last_value"):
        print("file", "__file__" in sys.modules["__main__"].__dict__)
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
    "warning of nobody": "import warnings\nfor n in 1, 2: warnings.warn(str(n), stacklevel=n)",
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


def run(
    directory: Path, *words: str, options: tuple[str, ...] = (), command: tuple[str, ...] = ()
) -> tuple[int, bytes, bytes]:
    """Exit status, stdout and stderr of Python, addresses of objects masked.

    `command` is what runs the command that follows it.
    """
    done = subprocess.run(
        [*command, sys.executable, *options, *words],
        cwd=directory,
        env=clean_environment(PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
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


HOOKED = """
import atexit, sys, threading, traceback, warnings
def files(tb):
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(tb)]
def stack():
    return [frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._getframe(1))]
def look(kind, value, tb):
    print("hook", kind, str(value), files(tb), tb is value.__traceback__, stack(), sys.exc_info())
    print(sys.last_type, sys.last_value is value, sys.last_traceback is tb, sys.excepthook is look)
    print(getattr(sys, "last_exc", None))
class Noisy:
    def __init__(self, name): self.name = name
    def __del__(self): print("gone", self.name, flush=True)
def fail():
    local = Noisy("local")
    return 1 / 0
kept = Noisy("global")
@atexit.register
def late():
    print("late", getattr(sys, "excepthook", "none"), hasattr(sys, "last_value"))
    if hasattr(sys, "last_value"):
        traceback.print_last()
"""

HOOKS = {
    "looks": "sys.excepthook = look\nfail()",
    "looks at Ctrl-C": "sys.excepthook = look\nraise KeyboardInterrupt",
    "looks at no traceback": "sys.excepthook = look\nraise ValueError().with_traceback(None)",
    "of Python": "sys.excepthook = sys.__excepthook__\nfail()",
    "fails": "def hook(*a): {}['key']\nsys.excepthook = hook\nfail()",
    "fails at Ctrl-C": "def hook(*a): {}['key']\nsys.excepthook = hook\nraise KeyboardInterrupt",
    "raises the same": "def hook(kind, value, tb): raise value\nsys.excepthook = hook\nfail()",
    "exits": "def hook(*a): sys.exit(9)\nsys.excepthook = hook\nfail()",
    "exits with a text": "def hook(*a): sys.exit('nine')\nsys.excepthook = hook\nfail()",
    "is interrupted": "def hook(*a): raise KeyboardInterrupt\nsys.excepthook = hook\nfail()",
    "stops iteration": "def hook(*a): raise StopIteration\nsys.excepthook = hook\nfail()",
    "takes no arguments": "sys.excepthook = lambda: None\nfail()",
    "is replaced": "def hook(*a): sys.excepthook = look; look(*a)\nsys.excepthook = hook\nfail()",
    "is missing": "del sys.excepthook\nfail()",
    "is missing, and stderr": "sys.stderr = None\ndel sys.excepthook\nfail()",
    "is None": "sys.excepthook = None\nfail()",
    "exit in a function": "def end():\n    local = Noisy('local')\n    sys.exit(5)\nend()",
    "exit with a pair": "sys.exit((1, 2))",
    "exit within exit": "raise SystemExit(SystemExit(3))",
    "exit of its own": "class Mine(SystemExit): pass\nraise Mine(7)",
    "exit while handling": "try: fail()\nexcept Exception: sys.exit(4)",
    "exit without text": "class B:\n    def __str__(self): 1 / 0\nsys.exit(B())",
    "exception without text": "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
    "frozen exception": "import dataclasses\n@dataclasses.dataclass(frozen=True)\n"
    "class E(Exception):\n    field: int = 3\nraise E()",
    "group": "raise getattr(__builtins__, 'ExceptionGroup', Exception)('g', [OSError(1)])",
    "no Exception": "class B(BaseException): pass\nraise B(1)",
    "faulthandler": "import faulthandler; faulthandler.enable()\nfail()",
    "thread": "threading.excepthook = lambda a: print(files(a.exc_traceback))\n"
    "t = threading.Thread(target=fail); t.start(); t.join()\nfail()",
    "unraisable": "class D:\n    def __del__(self): fail()\nD()\n"
    "sys.unraisablehook = lambda a: print(files(a.exc_traceback))\nD()",
    "at exit": "@atexit.register\ndef last(): fail()\nfail()",
    "warnings as errors": "warnings.simplefilter('error')\nwarnings.warn('text')",
}


@pytest.mark.parametrize("ending", HOOKS)
@pytest.mark.parametrize("shape", ["script", "module"])
def test_what_is_raised_is_told_of_as_python_tells_of_it(
    tmp_path: Path, shape: str, ending: str
) -> None:
    same(tmp_path, *lay_out(tmp_path, shape, HOOKED + HOOKS[ending]))


SYNTAX_ERRORS = ["def f():\n  x\n y\n", "x = '''\nno end", "x = (1,", "1 +", "return 3", "a b"]


@pytest.mark.parametrize("text", SYNTAX_ERRORS)
def test_syntax_errors_show_the_script_only(tmp_path: Path, text: str) -> None:
    status, _, errors = same(tmp_path, *lay_out(tmp_path, "script", text))
    assert status == 1 and (b"SyntaxError" in errors or b"IndentationError" in errors)


def test_what_is_no_text_shows_no_frame_of_ours(tmp_path: Path) -> None:
    """Python words these errors otherwise where it reads a file itself."""
    for content in (b"x = '\xe9'", b"# coding: no-such\n", b"x = '\0'"):
        (tmp_path / "prog.py").write_bytes(content)
        status, _, errors = run(tmp_path, "-m", "kerasprov_agent", "prog.py")
        assert status == 1 and b"Error: " in errors and b"Traceback" not in errors


@pytest.mark.parametrize("words", [["nosuch.py"], ["-m", "nosuch"], ["nosuch"], ["-m", "a.b.c"]])
def test_what_is_missing_is_missed_as_python_misses_it(tmp_path: Path, words: list[str]) -> None:
    status, _, errors = same(tmp_path, *words)
    assert status in (1, 2) and errors


LINKED = """
import sys
print(__file__, sys.argv, sys.path[:2], __loader__.path, __spec__ and __spec__.origin)
print(sys._getframe().f_code.co_filename, __package__)
import beside
print(beside.__file__)
"""


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script and a package that need the module beside them, and links to them."""
    directory = tmp_path_factory.mktemp("linked")
    (directory / "real" / "pack").mkdir(parents=True)
    (directory / "work").mkdir()
    for name in ("prog.py", "prog", "pack/__main__.py"):
        (directory / "real" / name).write_text(LINKED)
    (directory / "real" / "pack" / "__init__.py").write_text("import sys; print(sys.argv)")
    for name in ("real/beside.py", "real/pack/beside.py"):
        (directory / name).write_text("")
    with zipfile.ZipFile(directory / "real" / "prog.zip", "w") as archive:
        archive.writestr("__main__.py", LINKED.replace("__loader__.path", "__loader__.archive"))
        archive.writestr("beside.py", "")
    for link, target in {
        "work/link.py": "../real/prog.py",
        "work/chain.py": "link.py",
        "work/longer.py": directory / "work" / "chain.py",
        "work/plain": "../real/prog",
        "work/folder": "../real",
        "work/pack": "../real/pack",
        "work/prog.zip": "../real/prog.zip",
    }.items():
        (directory / link).symlink_to(target)
    return directory


RUNNING = (
    *("link.py", "./link.py", "chain.py", "longer.py", "../work/chain.py", "plain"),
    *("../real/prog.py", "./../real//prog.py", "folder/prog.py", "folder/../real/prog.py"),
    *("pack", "./pack", "pack/", "../work/pack", "prog.zip", ".//prog.zip", "."),
)


@pytest.mark.parametrize("words", RUNNING)
def test_links_and_relative_paths_lead_where_python_goes(linked: Path, words: str) -> None:
    directory = linked / "work" / "pack" if words == "." else linked / "work"
    status, _, errors = same(directory, *words.split())
    assert status == 0, errors


@pytest.mark.parametrize("words", ["-m link", "-m pack", "-m folder.prog", "no/../link.py"])
def test_what_finds_no_module_beside_a_link_finds_none(linked: Path, words: str) -> None:
    assert same(linked / "work", *words.split())[0] != 0


@pytest.mark.parametrize("option", ["-P", "PYTHONSAFEPATH", "-I", "-E", "-s"])
@pytest.mark.parametrize("words", ["./chain.py", "pack", "prog.zip", "-m pack"])
def test_a_safe_path_stays_safe(
    linked: Path, monkeypatch: pytest.MonkeyPatch, words: str, option: str
) -> None:
    if option == "-P" and sys.version_info < (3, 11):
        pytest.skip("-P came with Python 3.11")
    if option == "PYTHONSAFEPATH":
        monkeypatch.setenv(option, "1")
    options = (option,) if option.startswith("-") else ()
    same(linked / "work", *words.split(), options=options)


def test_compiled_scripts_run(linked: Path) -> None:
    compiled = linked / "real" / "compiled.pyc"
    py_compile.compile(str(linked / "real" / "prog.py"), str(compiled))
    compiled.with_suffix("").write_bytes(compiled.read_bytes())
    for name in ("compiled.pyc", "compiled"):
        assert same(linked / "real", name)[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a directory that is in use")
def test_a_directory_that_is_gone_and_a_pipe_are_no_hindrance(tmp_path: Path) -> None:
    script = tmp_path / "prog.py"
    script.write_text("import sys; print(__file__, sys.argv, sys.path[:2])")
    gone = 'mkdir gone; cd gone; rmdir ../gone; "$@" '
    for line in (f"{gone} {script}", f"{gone} -m prog", 'cat prog.py | "$@" /dev/stdin a'):
        plain, under = (
            run(tmp_path, *runner, command=("sh", "-c", line, "sh"))
            for runner in ((), ("-m", "kerasprov_agent"))
        )
        assert under == plain and (plain[1] or plain[2])


STACK = """
import inspect, json, sys
def outermost_of_main():
    frame, outermost = sys._getframe(), None
    while frame:
        if frame.f_globals.get("__name__") == "__main__":
            outermost = frame
        frame = frame.f_back
    return outermost
def as_hydra_does():
    # It finds the directory of its configuration by the frame of its caller.
    frame = inspect.stack()[1]
    return frame.filename, frame.frame.f_globals["__name__"]
main = sys.modules["__main__"]
outermost = outermost_of_main()
print(json.dumps([
    [frame.function for frame in inspect.stack()],
    outermost.f_code.co_filename, outermost is sys._getframe(), as_hydra_does(),
    main.__file__, main.__spec__ and main.__spec__.name, inspect.getmodule(outermost) is main,
]))
"""


@pytest.mark.parametrize("shape", SHAPES)
def test_below_the_stack_of_python_are_four_frames(tmp_path: Path, shape: str) -> None:
    """Libraries search the stack for the script, and most find what they find without us."""
    words = lay_out(tmp_path, shape, STACK)
    (stack, *facts), (stack_under, *facts_under) = (
        json.loads(run(tmp_path, *runner, *words)[1].splitlines()[-1])
        for runner in ((), ("-m", "kerasprov_agent"))
    )
    assert facts_under == facts and facts[1]
    assert stack_under == [*stack, "<module>", "<module>", "_run_code", "_run_module_as_main"]
    # `inspect.stack()[-1]` is a frame of runpy, as it is without us for all but scripts.
    assert (stack[-1] == stack_under[-1]) == (shape != "script")


INTERPRETER_OPTIONS = [("-P",), ("-O",), ("-W", "error"), ("-B", "-u"), ("-i",)]


@pytest.mark.parametrize("options", INTERPRETER_OPTIONS)
@pytest.mark.parametrize("ending", ["normal end", "exception", "sys.exit(3)"])
def test_options_of_the_interpreter_hold(
    tmp_path: Path, ending: str, options: tuple[str, ...]
) -> None:
    if options == ("-P",) and sys.version_info < (3, 11):
        pytest.skip("-P came with Python 3.11")
    text = REPORT + "\nprint(__debug__, sys.flags.optimize, sys.warnoptions)\n"
    same(tmp_path, *lay_out(tmp_path, "script", text + ENDINGS[ending]), options=options)


def test_timing_of_imports_changes_nothing_else(tmp_path: Path) -> None:
    words = lay_out(tmp_path, "script", REPORT)
    under = run(tmp_path, "-m", "kerasprov_agent", *words, options=("-X", "importtime"))
    assert under[:2] == run(tmp_path, *words)[:2]


def test_the_record_that_begins_after_the_last_line_knows_script_and_status(
    tmp_path: Path,
) -> None:
    text = "print(file=open('out.csv', 'w'))\nraise SystemExit(4)"
    assert recorded(tmp_path, text, name="prepare.py").returncode == 4
    query = "SELECT kind, script_sha256, status, exit_status FROM execution"
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert row(tmp_path / "kerasprov.db", query) == {
        "kind": "script",
        "script_sha256": digest,
        "status": "failed",
        "exit_status": 4,
    }
    recorded(tmp_path, text.partition("\n")[0], "--db", "second.db", name="prepare.py")
    execution = row(tmp_path / "second.db", query)
    assert execution["exit_status"] == 0 and execution["script_sha256"]


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
    text = "import time, sys\nprint('up', flush=True)\ntime.sleep(600)\n"
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
        endings.append((child.communicate(timeout=300)[1], child.returncode))
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
