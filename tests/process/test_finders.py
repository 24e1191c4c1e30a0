"""Import finders of the program's own work beside ours, whatever they ask, and whenever they come.

numpy stands for all that is followed once it was imported: its `load` is then a function of ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import python

DELEGATING = """
class Asking:
    "Asks all the others, as an import logger or a lazy importer does."
    depth = 0
    def find_spec(self, name, path=None, target=None):
        if Asking.depth:  # its own protection, against others of its kind
            return None
        Asking.depth += 1
        try:
            for finder in sys.meta_path:
                if finder is not self and hasattr(finder, "find_spec"):
                    spec = finder.find_spec(name, path, target)
                    if spec is not None:
                        return spec
        finally:
            Asking.depth -= 1
class Unprotected:
    def find_spec(self, name, path=None, target=None):
        for finder in sys.meta_path:
            if not isinstance(finder, Unprotected) and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
class UtilAsking:
    "As wrapt's: asks importlib itself, once."
    under_way = set()
    def find_spec(self, name, path=None, target=None):
        if name in self.under_way:
            return None
        self.under_way.add(name)
        try:
            return importlib.util.find_spec(name)
        finally:
            self.under_way.discard(name)
class Counting:
    names = []
    def find_spec(self, name, path=None, target=None):
        self.names.append(name)
class Old:
    "Of before Python 3.4; from 3.12 on nobody asks it any more."
    def find_module(self, name, path=None):
        return None
"""

FINDERS = {
    "inserted before ours": "sys.meta_path.insert(0, Unprotected())",
    "inserted after ours": "sys.meta_path.insert(1, Unprotected())",
    "several": "sys.meta_path[:0] = [Asking(), Unprotected()]; sys.meta_path.insert(3, Asking())",
    "protected": "sys.meta_path.insert(1, Asking())",
    "through importlib": "sys.meta_path.insert(1, UtilAsking())",
    "another list": "sys.meta_path = [Unprotected(), *sys.meta_path]",
    "without find_spec": "sys.meta_path.insert(1, Old())",
}

PROBE = """
import importlib.machinery, importlib.util, json, sys
{imports}
{classes}
{finders}
import numpy
print("ours" if hasattr(numpy.load, "__wrapped__") else "plain")
print(type(numpy.__spec__.loader) is importlib.machinery.SourceFileLoader)
"""


def armed(directory: Path, script: str, *options: str) -> str:
    """What a script prints that imports the agent itself."""
    (directory / "probe.py").write_text(script)
    done = python(*options, "probe.py", directory=directory, variables={"KERASPROV_DEBUG": "1"})
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"", done.stderr.decode()
    return done.stdout.decode()


def test_finders_that_ask_the_others(tmp_path: Path) -> None:
    for name, finders in FINDERS.items():
        script = PROBE.format(imports="import kerasprov_agent", classes=DELEGATING, finders=finders)
        assert armed(tmp_path, script) == "ours\nTrue\n", name


def test_a_finder_of_ours_that_was_taken_out_or_held_back(tmp_path: Path) -> None:
    """It then tells of nothing, or is asked by whoever has it."""
    script = PROBE.replace("numpy.load", "vars(numpy)['load']")
    for finders in (
        "sys.meta_path.pop(0); kerasprov_agent.stop(); kerasprov_agent.start()",
        "sys.meta_path = tuple(sys.meta_path)",
        "old = list(sys.meta_path)\n"
        "class Holding:\n"
        "    def find_spec(self, *args):\n"
        "        for one in old:\n"
        "            if (spec := one.find_spec(*args)) is not None: return spec\n"
        "sys.meta_path = [Holding()]",
    ):
        text = script.format(imports="import kerasprov_agent", classes="", finders=finders)
        assert armed(tmp_path, text) == "ours\nTrue\n", finders
    text = script.format(
        imports="import kerasprov_agent", classes="", finders="sys.meta_path.pop(0)"
    )
    assert armed(tmp_path, text + "kerasprov_agent.stop()\n") == "plain\nTrue\n"


def test_other_finders_are_asked_as_often_as_without_us(tmp_path: Path) -> None:
    script = (
        "import sys\nIMPORT\n" + DELEGATING + "sys.meta_path.insert(PLACE, Counting())\n"
        "sys.modules['kerasprov_agent'] = sys.modules.get('kerasprov_agent')\n"
        "import numpy\nprint(Counting.names.count('numpy'))\n"
    )
    for place in ("0", "1"):
        told = [
            armed(tmp_path, script.replace("IMPORT", line).replace("PLACE", place))
            for line in ("pass", "import kerasprov_agent")
        ]
        assert told[0] == told[1] == "1\n"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs zero-cost exceptions of 3.11")
def test_a_finder_that_raises_looks_as_without_us(tmp_path: Path) -> None:
    script = (
        "import sys\nIMPORT\n"
        "class Broken:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy': raise KIND('broken finder')\n"
        "sys.meta_path.insert(1, Broken())\nimport numpy\n"
    )
    for kind in ("RuntimeError", "ImportError"):
        told = []
        for line in ("pass", "import kerasprov_agent"):
            (tmp_path / "probe.py").write_text(script.replace("IMPORT", line).replace("KIND", kind))
            done = python("probe.py", directory=tmp_path)
            assert done.returncode == 1
            told.append(done.stderr.replace(line.encode(), b""))
        assert told[0] == told[1]


ASKED = """
import copy, importlib.resources, importlib.util, pkgutil, sys, types
IMPORT
from importlib.machinery import SourceFileLoader
sys.path.insert(0, "pack.zip")
for name in ("numpy", "soundfile"):  # in a directory, in a zip file
    spec = importlib.util.find_spec(name)
    loader = spec.loader
    print(name, name in sys.modules, spec.has_location, type(copy.copy(loader)).__name__)
    print(isinstance(loader, SourceFileLoader), loader.__class__, repr(loader)[:40])
    print(loader == loader, loader != copy.copy(spec).loader, hash(loader) == hash(spec.loader))
    print(loader.is_package(name), loader.get_code(name) is not None)
    print(pkgutil.get_data(name, "__init__.py") is not None)
    print(type(sys.modules[name].__loader__).__name__, type(sys.modules[name]).__name__)
    print(importlib.resources.files(name).joinpath("__init__.py").is_file())
del sys.modules["soundfile"]
spec = importlib.util.find_spec("soundfile")
by_hand = importlib.util.module_from_spec(spec)
spec.loader.exec_module(by_hand)
print(by_hand.VALUE, type(by_hand.__spec__.loader).__name__, "soundfile" in sys.modules)
print(sorted(one.name for one in pkgutil.iter_modules(["pack.zip"])))
"""


def test_questions_about_modules_before_they_are_imported(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        archive.writestr("soundfile/__init__.py", "VALUE = 7\ndef read(path): return path\n")
    told = [
        armed(tmp_path, ASKED.replace("IMPORT", line)) for line in ("", "import kerasprov_agent")
    ]
    strip = [text.split(" at 0x")[0] for text in told]
    assert strip[0] == strip[1]
    assert told[0].splitlines()[-2:] == told[1].splitlines()[-2:]


LAZY = """
import importlib.util, sys, threading, types
import kerasprov_agent
spec = importlib.util.find_spec("numpy")
spec.loader = importlib.util.LazyLoader(spec.loader)
numpy = importlib.util.module_from_spec(spec)
sys.modules["numpy"] = numpy
spec.loader.exec_module(numpy)
kerasprov_agent.start()  # a look at it would load it
print(object.__getattribute__(numpy, "__class__").__name__, "numpy.linalg" in sys.modules)
print(numpy.ones(2).sum(), type(numpy) is types.ModuleType, hasattr(numpy.load, "__wrapped__"))
"""


def test_a_lazy_module_is_loaded_when_it_is_used(tmp_path: Path) -> None:
    assert armed(tmp_path, LAZY) == "_LazyModule False\n2.0 True True\n"


THREADS = """
import sys, threading
import kerasprov_agent
{classes}
sys.meta_path.insert(1, Unprotected())
import time
sys.setswitchinterval(1e-5)
start, seen = threading.Barrier(8), []
def load():
    start.wait()
    import numpy, joblib
    seen.append((hasattr(numpy.load, "__wrapped__"), hasattr(joblib.load, "__wrapped__")))
threads = [threading.Thread(target=load) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join(60)
print(seen == [(True, True)] * 8)
"""


def test_threads_that_import_at_once(tmp_path: Path) -> None:
    assert armed(tmp_path, THREADS.format(classes=DELEGATING)) == "True\n"
