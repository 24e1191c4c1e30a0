"""The halves of the package stay apart, and what they load stays light."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT, clean_environment

PACKAGE = ROOT / "kerasprov_agent"
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name not in ("__main__.py", "sitecustomize.py")
)
READ_SIDE = ("kerasprov_agent.query", "kerasprov_agent.lineage", "kerasprov_agent.cli")
HEAVY = {"keras", "tf_keras", "tensorflow", "jax", "torch", "numpy", "pandas", "asyncio", "prov"}


def loaded_by(module: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        env=clean_environment(KERASPROV_DISABLED="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", MODULES)
def test_no_module_loads_what_it_must_not(module: str) -> None:
    loaded = loaded_by(module)
    if module.startswith(READ_SIDE):
        assert not {name for name in loaded if name.startswith("kerasprov_agent.hooks")}
        assert not loaded & (HEAVY - {"numpy", "pandas", "asyncio"})
    elif module.startswith("kerasprov_agent.hooks"):
        assert "sqlite3" not in loaded and not loaded & (HEAVY - {"asyncio"})
    else:
        assert not loaded & (HEAVY | {"wrapt", "sqlite_utils", "click", "rich"})
    if module.startswith("kerasprov_agent.documents"):
        assert not {name for name in loaded if name.startswith("kerasprov_agent.hooks")}


def test_modules_say_what_they_are_and_only_the_guard_catches_everything() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), path
        if path.name not in ("guard.py", "sitecustomize.py", "children.py"):
            assert "except Exception" not in text, path


def test_there_is_one_version() -> None:
    import kerasprov_agent

    assert kerasprov_agent.__version__ in (ROOT / "CHANGELOG.md").read_text()
