"""What Python has once for all of a program stays the program's: filters of warnings, loggers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import TINY, python, recorded, row
from tests.process.test_finders import armed

MEANWHILE = """
import copy, pickle, subprocess, sys, threading, warnings
import keras, numpy as np
from sklearn.ensemble import RandomForestClassifier
x = np.random.rand(64, 4).astype("float32")
y = (x.sum(1) > 2).astype("int32")
main, go, done = threading.main_thread(), threading.Event(), threading.Event()
seen, problems, pickled, others = [], [], [], []
def look():
    "What another thread may do with the filters while we work on the main thread."
    filters = warnings.filters.copy()
    seen.extend(one for one in filters if one not in before)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        warnings.warn("of another thread")
    others.append(len(heard))
    RandomForestClassifier(4, n_jobs=1).fit(x, y)
    pickled.append(pickle.dumps([one for one in filters if one not in before]))
    assert copy.deepcopy(filters) == filters
def beside():
    while True:
        go.wait()
        if stop: return
        go.clear()
        try: look()
        except Exception as exc: problems.append(repr(exc))
        done.set()
class Talking(keras.layers.Dense):
    calls = 0
    def get_config(self):
        Talking.calls += 1
        go.set(); assert done.wait(60); done.clear()
        warnings.warn("a talking layer")
        return super().get_config()
stop = False
before = list(warnings.filters)
thread = threading.Thread(target=beside, daemon=True); thread.start()
def train():
    model = keras.Sequential([keras.Input((4,)), Talking(1)])
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
for action in (None, "error", "always"):
    with warnings.catch_warnings():
        if action: warnings.simplefilter(action)
        before = list(warnings.filters)
        train()
        assert warnings.filters == before, action
with warnings.catch_warnings(record=True) as heard:
    train()
    warnings.warn("heard")
assert [str(one.message) for one in heard] == ["heard"], heard
stop = True
go.set(); thread.join()
assert not problems, problems
assert Talking.calls == len(pickled) and set(others) == {1}
for action, message, category, module, line in seen:  # of the types that always stand there
    assert type(action) is str and message is None is module and line == 0
    assert isinstance(category, type) and issubclass(category, Warning)
    assert not issubclass(UserWarning, category)  # on no thread but where we work
    assert not isinstance(UserWarning(), category)
check = '''
import pickle, sys
for one in pickle.load(sys.stdin.buffer):
    for action, message, category, module, line in pickle.loads(one):
        assert category.__module__ == "builtins", category
        assert pickle.loads(pickle.dumps(category)) is category
assert not [name for name in sys.modules if name.startswith("kerasprov")]
'''
subprocess.run([sys.executable, "-c", check], input=pickle.dumps(pickled), check=True)
print(Talking.calls > 0, len(seen) > 0)
"""


def test_other_threads_use_the_filters_of_warnings_while_we_work(tmp_path: Path) -> None:
    """scikit-learn copies them for its threads, joblib pickles them for its processes."""
    pytest.importorskip("sklearn")
    done = recorded(tmp_path, MEANWHILE, KERASPROV_DEBUG="1")
    assert (done.returncode, done.stdout) == (0, b"True True\n"), done.stderr.decode()
    assert b"talking" not in done.stderr and b"of another" not in done.stderr
    assert row(tmp_path / "kerasprov.db", "SELECT count(*) AS n FROM epoch")["n"] == 4


BESIDE = """
import numpy, sys, threading, warnings
import os
sys.setswitchinterval(1e-6)
before, changed, over = list(warnings.filters), [], False
def files():
    for number in range(300):
        with open(f"file-{number}.txt", "w") as file: file.write("x")
        with open(f"file-{number}.txt") as file: file.read()
        os.rename(f"file-{number}.txt", f"renamed-{number}.txt")
def watch():
    while not over:
        if warnings.filters != before:
            changed.append(list(warnings.filters))
watching = threading.Thread(target=watch)
threads = [threading.Thread(target=files) for _ in range(2)]
threads[0].start(); threads[0].join()
watching.start()
threads[1].start(); threads[1].join()
import time; time.sleep(1.5)  # the thread beside the program writes down and hashes
over = True
watching.join()
print(len(changed), len(os.listdir()) > 300)
"""


def test_following_files_touches_no_filter_of_warnings(tmp_path: Path) -> None:
    done = recorded(tmp_path, BESIDE, KERASPROV_DEBUG="1")
    assert (done.returncode, done.stdout) == (0, b"0 True\n"), done.stderr.decode()
    found = row(tmp_path / "kerasprov.db", "SELECT count(*) AS n FROM entity")
    assert found["n"] > 0


def test_a_file_left_open_is_told_of_while_we_work(tmp_path: Path) -> None:
    script = """
import warnings
from kerasprov_agent import guard
class Left:
    def __del__(self):
        warnings.warn("left open", ResourceWarning)
def collecting():
    Left()
    warnings.warn("ours")
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    guard.call(collecting)
print([str(one.message) for one in heard])
"""
    assert armed(tmp_path, script) == "['left open']\n"


LOGGING = """
import logging, logging.config, sys
class Listing(logging.Handler):
    def __init__(self, *args):
        super().__init__()
        self.lines = []
    def emit(self, record):
        if record.name.startswith("kerasprov"):
            self.lines.append((record.levelname, record.getMessage()))
root = Listing()
logging.basicConfig(level=logging.DEBUG, handlers=[root])
"""
SAYING = """
from kerasprov_agent import guard
def odd(): raise ValueError("odd")
"""


@pytest.mark.slow
def test_a_program_that_logs_everything_hears_nothing_of_us(tmp_path: Path) -> None:
    script = (
        LOGGING
        + TINY
        + """
class Odd(keras.layers.Dense):
    def get_config(self): raise ValueError("no config")
model = keras.Sequential([keras.Input((4,)), Odd(1)])
model.compile("sgd", "mse")
model.fit(x, y, verbose=0)
print(root.lines, "kerasprov_agent" in logging.root.manager.loggerDict)
"""
    )
    plain = python("-c", script, directory=tmp_path)
    done = recorded(tmp_path, script)
    assert (done.returncode, done.stdout) == (0, b"[] False\n"), done.stderr.decode()
    strip = re.compile(rb"[\d ]+")  # numbers of processes are set to the right by blanks
    assert strip.sub(b"", done.stderr) == strip.sub(b"", plain.stderr)


def test_who_asks_for_us_hears_us(tmp_path: Path) -> None:
    ask = {
        "logging.getLogger('kerasprov_agent').setLevel(logging.DEBUG)": True,
        "own = Listing(); logging.getLogger('kerasprov_agent').addHandler(own)": True,
        "logging.getLogger('kerasprov_agent').setLevel(logging.WARNING)": False,
        "logging.getLogger('kerasprov_agent.child').setLevel(logging.DEBUG)": False,
        "logging.getLogger('kerasprov_agent')": False,
        "logging.getLogger('kerasprov_agent').setLevel(10); logging.disable(logging.ERROR)": False,
        "logging.getLogger('kerasprov_agent').setLevel(10);"
        "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': True})": False,
    }
    for statement, heard in ask.items():
        script = f"{LOGGING}{SAYING}{statement}\nguard.attempt(odd)\nprint(len(root.lines))\n"
        assert armed(tmp_path, script) == f"{int(heard)}\n", statement


def test_warnings_of_ours_come_once_where_warnings_come(tmp_path: Path) -> None:
    script = LOGGING + SAYING + "guard.warn('a'); guard.warn('a'); print(root.lines)\n"
    assert armed(tmp_path, script) == "[('WARNING', 'kerasprov_agent: a')]\n"
    without = "import kerasprov_agent" + SAYING
    (tmp_path / "train.py").write_text(without + "guard.attempt(odd); guard.warn('a')\n")
    done = python("train.py", directory=tmp_path)
    assert done.stderr == b"kerasprov_agent: a\n"


BROKEN = """
import logging, sys
class Broken(logging.Logger):
    def isEnabledFor(self, level): raise RuntimeError("mine")
def broken(*_): raise RuntimeError("mine")
class Filter(logging.Filter):
    filter = broken
class Handler(logging.Handler):
    handle = broken
class Formatter(logging.Formatter):
    format = broken
WHAT
from kerasprov_agent import guard
logging.raiseExceptions = False
guard.warn("a")
guard.debug("b")
def odd(): raise ValueError("odd")
assert guard.call(odd) is None
print("goes on")
"""


def test_what_the_program_put_into_logging_may_raise(tmp_path: Path) -> None:
    for what in (
        "logging.setLoggerClass(Broken)",
        "logging.getLogger('kerasprov_agent').addFilter(Filter())",
        "logging.root.addHandler(Handler())",
        "h = logging.StreamHandler(); h.setFormatter(Formatter()); logging.root.addHandler(h)",
        "h = logging.StreamHandler(); h.addFilter(Filter()); logging.root.addHandler(h)",
        "logging.getLogger('kerasprov_agent').addHandler(Handler())",
        "logging.root.manager.loggerDict = None",
        "sys.modules['logging'] = None",
    ):
        (tmp_path / "probe.py").write_text(
            "import kerasprov_agent\n" + BROKEN.replace("WHAT", what)
        )
        done = python("probe.py", directory=tmp_path)
        assert (done.returncode, done.stdout) == (0, b"goes on\n"), (what, done.stderr.decode())


def test_caplog_hears_debug_lines_where_it_asks(
    recording: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from kerasprov_agent import guard

    with caplog.at_level("DEBUG"):
        guard.debug("not for you")
    with caplog.at_level("DEBUG", logger="kerasprov_agent"):
        guard.debug("for you")
    assert [record.message for record in caplog.records if record.name == "kerasprov_agent"] == [
        "for you"
    ]
