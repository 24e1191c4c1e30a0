"""Tells when the program itself has imported a module. Imports nothing that Python has not loaded.

wrapt's post-import hooks would do the same, but wrapt costs 45 ms and asyncio before Keras is
there, lets errors into the user's `import keras`, and fires once only.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Hook = Callable[[Any], None]


class _Loader:
    """Runs the real loader, then the hook; steps aside before the module's own code runs."""

    def __init__(self, loader: Any, hook: Hook) -> None:
        self._loader, self._hook = loader, hook

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        try:
            self._loader.exec_module(module)
        except BaseException as exc:
            # Our frame would keep importlib from hiding its own in the user's traceback.
            if exc.__traceback__ is not None:
                exc.__traceback__ = exc.__traceback__.tb_next
            raise
        _fire(self._hook, module)


class _Finder:
    """Finds nothing itself: lets the others find the module, then puts `_Loader` around it."""

    def __init__(self, hooks: Mapping[str, Hook]) -> None:
        self.hooks = hooks

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        hook = self.hooks.get(fullname)
        if hook is None:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _Finder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    stepping_aside: Any = _Loader(spec.loader, hook)
                    spec.loader = stepping_aside
                return spec
        return None


def watch(hooks: Mapping[str, Hook]) -> None:
    """Call a module's hook whenever it has been imported, and now if it already is."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(hooks))
    for name, hook in hooks.items():
        module = sys.modules.get(name)
        # A lazily loaded module would be loaded by a look at it; it fires when it is used.
        if module is None or type(module).__name__ == "_LazyModule":
            continue
        if not getattr(getattr(module, "__spec__", None), "_initializing", False):
            _fire(hook, module)


def unwatch() -> None:
    """Take our finder out of `sys.meta_path`."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]


def _fire(hook: Hook, module: Any) -> None:
    from kerasprov_agent import guard

    guard.call(hook, module)
