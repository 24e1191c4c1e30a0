"""The halves of the package stay apart, and what they load stays light."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from functools import cache

import pytest

from tests.conftest import ROOT, clean_environment

PACKAGE = ROOT / "kerasprov_agent"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name not in ("__main__.py", "sitecustomize.py")
)
HEAVY = {"keras", "tf_keras", "tensorflow", "jax", "torch", "numpy", "pandas", "asyncio", "prov"}
COMMON = ("clock", "contents", "errors", "guard", "identity", "kinds", "redaction", "replacing", "settings",
          "visible")  # fmt: skip
"""What both halves may use."""
PATCHING = ("kerasprov_agent.capture.hooks", "kerasprov_agent.capture.patching")
"""Where wrapt may be loaded."""


EACH = """
import os, sys
for module in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if not child:
        __import__(module)
        print(module, *sys.modules, flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{module} can't be imported")
"""


@cache
def loaded() -> dict[str, frozenset[str]]:
    """What importing each module loads, in a process that has imported nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", EACH, *MODULES],
        env=clean_environment(KERASPROV_DISABLED="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    return {module: frozenset(names) for module, *names in lines}


def half(module: str) -> str:
    """The folder of a module: capture, store, read, ...; of the common ground `common`."""
    folder = module.split(".")[1] if "." in module else ""
    return "common" if folder in COMMON else folder


@pytest.mark.parametrize("module", MODULES)
def test_no_module_loads_what_it_must_not(module: str) -> None:
    names = loaded()[module]
    ours = (names - loaded()["kerasprov_agent"]) & set(MODULES)
    halves = {half(name) for name in ours}
    if half(module) == "capture":
        assert halves <= {"capture", "common", "store"}
        allowed = {"wrapt", "asyncio"} if module.startswith(PATCHING) else set()
        assert not names & ((HEAVY | {"wrapt", "sqlite_utils", "click", "rich"}) - allowed)
        assert "sqlite3" not in names or not module.startswith(PATCHING)
    else:
        # Looking loads nothing of what runs in a training, and arms nothing.
        assert "capture" not in halves
        assert not names & (HEAVY - {"numpy", "pandas", "asyncio"})
    if half(module) in ("common", ""):
        assert halves <= {"common"}
    if half(module) == "store":
        assert halves <= {"store", "common"}
    if half(module) == "read":
        assert halves <= {"read", "store", "common"}


def test_modules_say_what_they_are_and_only_the_guard_catches_everything() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), path
        if path.name not in ("guard.py", "sitecustomize.py", "children.py"):
            assert "except Exception" not in text, path


def test_there_is_one_version() -> None:
    import kerasprov_agent

    assert kerasprov_agent.__version__ in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {kerasprov_agent.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def imports_of(module: str) -> set[str]:
    """The modules of ours that a module imports, also within functions; not only for types."""
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.exists() else path.with_suffix("") / "__init__.py"
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & set(MODULES) or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(MODULES)


def test_no_modules_import_each_other() -> None:
    graph = {module: imports_of(module) for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises where there is a circle


def test_the_house_has_few_floors() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    top = {path.relative_to(PACKAGE).parts[0] for path in folders if path != PACKAGE}
    assert len(top) <= 12 and len(list(PACKAGE.glob("*.py"))) <= 14
    text = (ROOT / "docs" / "architecture.md").read_text()
    for folder in folders - {PACKAGE, PACKAGE / "documents" / "picture"}:
        assert f"`{folder.relative_to(PACKAGE).as_posix()}/`" in text or "imports" in folder.name


def test_no_module_rebinds_what_is_in_another() -> None:
    for module in MODULES:
        path = ROOT / (module.replace(".", "/") + ".py")
        path = path if path.exists() else path.with_suffix("") / "__init__.py"
        tree = ast.parse(path.read_text())
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if f"{node.module}.{alias.name}" in MODULES
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                owner = node.value
                assert not (isinstance(owner, ast.Name) and owner.id in names), (
                    module, ast.unparse(node),
                )  # fmt: skip
