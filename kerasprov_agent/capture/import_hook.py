"""Tells when the program itself has imported a module, and holds on to the modules of ours.

Imports nothing that Python has not loaded. wrapt's post-import hooks would tell the same, but
wrapt costs 45 ms and asyncio before Keras is there, lets errors into the user's `import keras`,
and fires once only.
"""

from __future__ import annotations

import sys
from _thread import _local

from kerasprov_agent import guard
from kerasprov_agent.tracebacks import drop_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType
    from typing import Any

    Hook = Callable[[Any], None]

PACKAGE = __name__.partition(".")[0]

_asked = _local()
"""`names`: what this thread is asking the other finders for."""


class _Loader:
    """Runs the real loader, then the hook; steps aside before the module's own code runs.

    Whoever asks where a module is before it is imported gets this with the spec. It passes for
    the real loader: `importlib` and others compare loaders, copy them and ask for their class.
    """

    def __init__(self, loader: Any, hook: Hook) -> None:
        self._loader, self._hook = loader, hook

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self._loader.__class__

    def __eq__(self, other: object) -> bool:
        return bool(self._loader == (other._loader if type(other) is _Loader else other))

    def __hash__(self) -> int:
        return hash(self._loader)

    def __repr__(self) -> str:
        return repr(self._loader)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._loader.__reduce_ex__(protocol)

    def create_module(self, spec: Any) -> Any:
        # Loaders need not have it: importlib then makes the module.
        create = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: Any) -> None:
        for owner, name in ((getattr(module, "__spec__", None), "loader"), (module, "__loader__")):
            if type(getattr(owner, name, None)) is _Loader:
                setattr(owner, name, self._loader)
        try:
            self._loader.exec_module(module)
        except BaseException as exc:
            drop_frames(exc)  # they would keep importlib from hiding its own
            raise
        self._hook(module)


class _Held:
    """Gives back a module of ours that was imported before, as it is."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._kept = {name: getattr(module, name, None) for name in ("__spec__", "__loader__")}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept["__loader__"], name)

    def create_module(self, _spec: Any) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        for name, value in self._kept.items():
            setattr(module, name, value)


class _Finder:
    """Finds nothing itself: lets the others find the module, then puts `_Loader` around it.

    What is of this package is an exception. `keras.config.set_backend` throws out of `sys.modules`
    all that begins with `keras`, and tests what was imported meanwhile; a second copy of a module
    of ours would know nothing of what the first has done.
    """

    def __init__(self, hooks: Mapping[str, Hook]) -> None:
        self.hooks = hooks
        self.held: dict[str, ModuleType] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        hook = self.hooks.get(fullname)
        if hook is None and fullname.startswith(PACKAGE):
            if fullname in self.held:
                return self._spec_of_held(fullname)
            hook = self._hold if _is_ours(fullname) else None
        if hook is None:
            return None
        try:
            spec = self._ask_others(fullname, path, target)
        except BaseException as exc:
            drop_frames(exc, 2)
            raise
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, hook)
        return spec

    def _hold(self, module: ModuleType) -> None:
        self.held[module.__name__] = module

    def _spec_of_held(self, fullname: str) -> Any:
        # What looks for our modules in `sys.modules` without importing them is to find them.
        for name, module in list(self.held.items()):
            if name != fullname:
                sys.modules.setdefault(name, module)
        module = self.held[fullname]
        # `importlib.machinery`, which has the class of specs, may not be loaded.
        spec_class: Any = type(module.__spec__)
        spec = spec_class(fullname, _Held(module))
        spec.submodule_search_locations = getattr(module, "__path__", None)
        return spec

    def _ask_others(self, fullname: str, path: Any, target: Any) -> Any:
        """The first answer of the finders after this one; None where importlib is to go on.

        A finder of the program's may ask all the others as well, and so this one again. Asked
        for the same from within, it answers as if it was not there.
        """
        names: set[str] | None = getattr(_asked, "names", None)
        if names is None:
            names = _asked.names = set()
        if fullname in names:
            return None
        names.add(fullname)
        try:
            for finder in self._others():
                find = getattr(finder, "find_spec", None)
                if find is None:
                    # Before Python 3.12 importlib has another way to ask such a finder.
                    if sys.version_info < (3, 12) and finder.find_module(fullname, path):
                        return None
                    continue
                spec = find(fullname, path, target)
                if spec is not None:
                    return spec
            return None
        finally:
            names.discard(fullname)

    def _others(self) -> Iterable[Any]:
        """The finders after this one: those before it have been asked already."""
        finders = list(sys.meta_path)
        for position, finder in enumerate(finders):
            if finder is self:
                return finders[position + 1 :]
        return finders


_finder = _Finder({})


def watch(hooks: Mapping[str, Hook]) -> None:
    """Call a module's hook whenever it has been imported, and now if it already is."""
    for name, module in list(sys.modules.items()):
        if _is_ours(name):
            _finder.held.setdefault(name, module)
    _finder.hooks = {name: _guarded(hook) for name, hook in hooks.items()}
    if not any(finder is _finder for finder in sys.meta_path):
        sys.meta_path.insert(0, _finder)
    for name, hook in _finder.hooks.items():
        imported = sys.modules.get(name)
        # A lazily loaded module would be loaded by a look at it; it fires when it is used.
        if imported is None or type(imported).__name__ == "_LazyModule":
            continue
        if not getattr(getattr(imported, "__spec__", None), "_initializing", False):
            hook(imported)


def unwatch() -> None:
    """Take our finder out of `sys.meta_path`."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _finder]


def loaded(name: str) -> Any:
    """A module of ours by its name within the package, once it was imported; None before."""
    full = f"{PACKAGE}.{name}"
    return sys.modules.get(full) or _finder.held.get(full)


def _is_ours(name: str) -> bool:
    # `__main__` is run under another name, and is none that is imported.
    return name == PACKAGE or (name.startswith(f"{PACKAGE}.") and not name.endswith(".__main__"))


def _guarded(hook: Hook) -> Hook:
    return lambda module: guard.call(hook, module)
