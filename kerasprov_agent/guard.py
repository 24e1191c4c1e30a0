"""The one place where our own faults end.

Whatever the agent does inside somebody else's training runs under `call`. A fault is logged once
a kind and swallowed; after three faults recording is switched off. Exceptions that are not
`Exception` (Ctrl-C, `sys.exit`) belong to the program and pass.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

FAULTS_ALLOWED = 3
TRUE = frozenset(("1", "true", "yes", "on"))

_warned: set[str] = set()
_faults = 0
_raise_faults = False


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Call `function`; on a fault of ours return None and let the program go on."""
    return always(function, *args, **kwargs) if enabled() else None


def always(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """As `call`, also when recording is switched off: to stop, and to end the record."""
    filters = _silenced()
    try:
        return function(*args, **kwargs)
    except Exception as fault:
        _note(function, fault)
        return None
    finally:
        if filters is not None:
            _heard(filters)


def attempt(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Ask an object of the user's something it may not know; None is then the answer.

    `get_config` of somebody's layer may raise anything: that is no fault of ours.
    """
    filters = _silenced()
    try:
        return function(*args, **kwargs)
    except Exception as problem:
        debug("unknown: %r: %r", function, problem)
        return None
    finally:
        if filters is not None:
            _heard(filters)


def tell(function: Callable[[], R], say: Callable[[str], None]) -> R | None:
    """As `kerasprov` does, which is no part of a training: a fault of ours becomes one line."""
    try:
        return function()
    except Exception as fault:
        if debugging():
            raise
        say(
            f"internal error: {type(fault).__name__}: {fault}; nothing was changed. Please report "
            "it, with what KERASPROV_DEBUG=1 shows"
        )
        return None


class _Within:
    """Stands for a pattern in a filter of `warnings`: it fits where a thread is in our code."""

    def match(self, _module: str) -> bool:
        return get_ident() in _within


_within: set[int] = set()
_FILTER = ("ignore", None, Warning, _Within(), 0)


def _silenced() -> list[Any] | None:
    """Keep warnings of this thread to ourselves: what warns in our code would not without us.

    `warnings.catch_warnings` would forget which of the program's warnings were shown already, and
    would silence other threads. Returns the filters to be put right; None: it is so already.
    """
    # The module may be missing, or only just being imported.
    filters: list[Any] | None = getattr(sys.modules.get("warnings"), "filters", None)
    ident = get_ident()
    if not isinstance(filters, list) or ident in _within:
        return None
    _within.add(ident)
    filters.insert(0, _FILTER)
    return filters


def _heard(filters: list[Any]) -> None:
    _within.discard(get_ident())
    if _FILTER in filters:
        filters.remove(_FILTER)


def forked() -> None:
    """In a forked child: the threads of the parent that were in our code are not here."""
    _within.clear()
    filters = getattr(sys.modules.get("warnings"), "filters", None)
    if isinstance(filters, list) and _FILTER in filters:
        filters.remove(_FILTER)


def enabled() -> bool:
    """Whether the agent still trusts itself."""
    return _faults < FAULTS_ALLOWED


def switch_off() -> None:
    """Record nothing more in this process."""
    global _faults
    _faults = FAULTS_ALLOWED


def reset() -> None:
    """Forget earlier faults, as when the agent is armed anew."""
    global _faults
    _faults = 0
    _warned.clear()


def warn(message: str) -> None:
    """Tell the person once, on the logger `kerasprov_agent`, never on stdout."""
    if message in _warned:
        return
    _warned.add(message)
    import logging

    logging.getLogger("kerasprov_agent").warning("kerasprov_agent: %s", message)


def raise_faults() -> None:
    """Raise our own faults from now on, as `--debug` asks."""
    global _raise_faults
    _raise_faults = True


def debugging() -> bool:
    """Whether `--debug` or `KERASPROV_DEBUG` asks for our faults to be raised."""
    return _raise_faults or os.environ.get("KERASPROV_DEBUG", "").lower() in TRUE


def debug(message: str, *args: Any) -> None:
    """Tell whoever set the logger `kerasprov_agent` to DEBUG."""
    import logging

    logging.getLogger("kerasprov_agent").debug(message, *args)


def _note(function: Any, fault: Exception) -> None:
    global _faults
    if debugging():
        raise fault
    from kerasprov_agent.errors import KerasProvError

    if isinstance(fault, KerasProvError):
        # Not a defect: something that the person can put right, such as an unusable database.
        switch_off()
        warn(f"{fault}; this training is not recorded")
        return
    _faults += 1
    name = getattr(function, "__qualname__", repr(function))
    warn(
        f"internal error in {name}: {type(fault).__name__}: {fault}; your program runs on, with "
        "less or nothing recorded (KERASPROV_DEBUG=1 shows where)"
    )
    if _faults == FAULTS_ALLOWED:
        debug("three internal errors: recording is switched off")
