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
LOGGER = "kerasprov_agent"
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


def call_own(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """As `call`, for what runs no code but ours: it warns of nothing, `warnings` is left alone."""
    if not enabled():
        return None
    try:
        return function(*args, **kwargs)
    except Exception as fault:
        _note(function, fault)
        return None


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


def ask(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """As `attempt`, for what is asked so often that it must cost nothing; warnings are heard."""
    try:
        return function(*args, **kwargs)
    except Exception:
        return None


class beside:
    """A context on a thread of our own: the program can see nothing of what it does."""

    def __enter__(self) -> None:
        _beside.add(get_ident())

    def __exit__(self, *_: object) -> None:
        _beside.discard(get_ident())


class _InOurCode(type):
    """The class of a category of warnings: all are of it that arise where we work."""

    def __subclasscheck__(cls, category: type) -> bool:
        # A file that the program has left open is collected at any time, also while we work.
        return get_ident() in _within and category is not ResourceWarning


class OurWarning(Warning, metaclass=_InOurCode):
    """What warns while a thread of the program's is in our code; never raised.

    It stands in a filter of `warnings` while that is so. Other threads may copy the filters just
    then, and scikit-learn does, so the filter has nothing that others have not.
    """


_within: set[int] = set()
_beside: set[int] = set()
_FILTER = ("ignore", None, OurWarning, None, 0)


def _silenced() -> list[Any] | None:
    """Keep warnings of this thread to ourselves: what warns in our code would not without us.

    `warnings.catch_warnings` would forget which of the program's warnings were shown already, and
    would silence other threads. Returns the filters to be put right; None: it is so already.
    """
    # The module may be missing, or only just being imported.
    filters: list[Any] | None = getattr(sys.modules.get("warnings"), "filters", None)
    ident = get_ident()
    if not isinstance(filters, list) or ident in _within or ident in _beside:
        return None
    copyreg: Any = sys.modules.get("copyreg")
    if copyreg is not None:
        copyreg.dispatch_table.setdefault(_InOurCode, _pickled)
    _within.add(ident)
    filters.insert(0, _FILTER)
    return filters


def _pickled(_category: type) -> tuple[Any, ...]:
    """joblib hands the filters to its processes; none is to import us there, and so be armed.

    They get the category of which the fewest know: Python has to be told to use it.
    """
    return type, (EncodingWarning(),)


def _heard(filters: list[Any]) -> None:
    _within.discard(get_ident())
    _take_out(filters)
    current = getattr(sys.modules.get("warnings"), "filters", filters)
    # Another thread may have copied the filters meanwhile, and put the copy in their place.
    if current is not filters and not _within and isinstance(current, list):
        _take_out(current)


def _take_out(filters: list[Any]) -> None:
    try:
        filters.remove(_FILTER)
    except ValueError:  # the program has set its filters anew
        pass


def is_at_work() -> bool:
    """Whether this thread is in our code, or in what our code calls of the program's."""
    return get_ident() in _within


def forked() -> None:
    """In a forked child: the threads of the parent that were in our code are not here."""
    _within.clear()
    _beside.clear()
    filters = getattr(sys.modules.get("warnings"), "filters", None)
    while isinstance(filters, list) and _FILTER in filters:
        _take_out(filters)


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
    try:
        import logging

        logging.getLogger(LOGGER).warning("kerasprov_agent: %s", message)
    except Exception:
        pass  # a filter of the program's own, or its class of loggers, is not made for us


def raise_faults() -> None:
    """Raise our own faults from now on, as `--debug` asks."""
    global _raise_faults
    _raise_faults = True


def debugging() -> bool:
    """Whether `--debug` or `KERASPROV_DEBUG` asks for our faults to be raised."""
    return _raise_faults or os.environ.get("KERASPROV_DEBUG", "").lower() in TRUE


def debug(message: str, *args: Any) -> None:
    """Tell whoever set a level or a handler on the logger `kerasprov_agent`.

    A program that wants to hear everything of all loggers does not mean us: it would hear of us.
    """
    logging: Any = sys.modules.get("logging")
    loggers = getattr(getattr(logging, "root", None), "manager", None)
    try:
        logger = loggers.loggerDict.get(LOGGER) if loggers else None
        if isinstance(logger, logging.Logger) and (logger.level or logger.handlers):
            logger.debug(message, *args)
    except Exception:
        pass


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
