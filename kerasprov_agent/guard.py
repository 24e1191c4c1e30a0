"""The one place where our own faults end.

Whatever the agent does inside somebody else's training runs under `call`. A fault is logged once
a kind and swallowed. What fails three times in a row is left alone until the next run begins.
Exceptions that are not `Exception` (Ctrl-C, `sys.exit`) belong to the program and pass, and so does
whatever a signal handler of the program's raises while our code happens to run. What such a handler
or a destructor does is not recorded then: it would wait for locks that are ours, held by what it
interrupts.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from kerasprov_agent import silence
from kerasprov_agent.tracebacks import is_in_between, is_of_a_signal_handler, pass_on

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
_faults: dict[str, int] = {}
"""How often in a row each of our functions has failed."""
_beginnings: set[str] = set()
_at_work: dict[int, int] = {}
"""By thread: within how many calls of ours it is."""
_off = False
_raise_faults = False


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Call `function`; on a fault of ours return None and let the program go on."""
    if _off or (_faults and _is_left_alone(function)):
        return None
    return always(function, *args, **kwargs)


def always(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """As `call`, also when recording is switched off: to stop, and to end the record."""
    thread = get_ident()
    depth = _at_work.get(thread, 0)
    if depth and is_in_between(always.__code__):
        return None
    filters = silence.begin()
    try:
        _at_work[thread] = depth + 1
        result = function(*args, **kwargs)
    except Exception as fault:
        pass_on(fault)
        _note(function, fault)
        return None
    finally:
        if depth:
            _at_work[thread] = depth
        else:
            _at_work.pop(thread, None)
        if filters is not None:
            silence.end(filters)
    if _faults:
        _faults.pop(_name(function), None)
    return result


def call_own(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """As `call`, for what runs no code but ours: it warns of nothing, `warnings` is left alone."""
    if _off or (_faults and _is_left_alone(function)):
        return None
    try:
        return function(*args, **kwargs)
    except Exception as fault:
        pass_on(fault)
        _note(function, fault)
        return None


def attempt(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Ask an object of the user's something it may not know; None is then the answer.

    `get_config` of somebody's layer may raise anything, `SystemExit` too: that is no fault of ours,
    and no reason to end a program that has not asked.
    """
    filters = silence.begin()
    try:
        return function(*args, **kwargs)
    except (Exception, SystemExit) as problem:
        pass_on(problem)
        debug("unknown: %s: %s", _name(function), type(problem).__name__)
        return None
    finally:
        if filters is not None:
            silence.end(filters)


def ask(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """As `attempt`, for what is asked so often that it must cost nothing; warnings are heard."""
    try:
        return function(*args, **kwargs)
    except (Exception, SystemExit) as problem:
        pass_on(problem)
        return None


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


def refusal(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Exception | None:
    """Call a function; returns what it raised, save what is the program's own."""
    try:
        function(*args, **kwargs)
    except Exception as problem:
        if is_of_a_signal_handler(problem):
            raise
        return problem
    return None


def enabled() -> bool:
    """Whether anything is recorded in this process."""
    return not _off


def switch_off() -> None:
    """Record nothing more in this process."""
    global _off
    _off = True


def reset() -> None:
    """Forget earlier faults, as when the agent is armed anew."""
    global _off
    _off = False
    _faults.clear()
    _warned.clear()


def begins(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator for what a run begins with: it is tried however often it has failed.

    What failed before may have failed because of what was trained, so all else is tried again, too.
    """
    _beginnings.add(_name(function))
    return function


def _is_left_alone(function: Any) -> bool:
    name = _name(function)
    if name in _beginnings:
        _faults.clear()
    return _faults.get(name, 0) >= FAULTS_ALLOWED


_NAMED = (type(call), type(silence.beside().__enter__), type(len))
"""Functions, methods, and those written in C."""


def _name(function: Any) -> str:
    """What a function is called; a callable object of the program's isn't asked for its name."""
    named = function if type(function) in _NAMED else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def in_words(exc: BaseException) -> str:
    """An exception's class and text; its own `__str__` may raise."""
    text = ask(str, exc)
    return f"{type(exc).__name__}: {'(its text cannot be told)' if text is None else text}"


def warn(message: str) -> None:
    """Tell the person once, on the logger `kerasprov_agent`, never on stdout."""
    if message in _warned:
        return
    _warned.add(message)
    try:
        import logging

        logging.getLogger(LOGGER).warning("kerasprov_agent: %s", message)
    except Exception as problem:
        pass_on(problem)
        # A filter of the program's own, or its class of loggers, is not made for us.


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
    except Exception as problem:
        pass_on(problem)


def _note(function: Any, fault: Exception) -> None:
    if debugging():
        raise fault
    from kerasprov_agent.errors import KerasProvError

    if isinstance(fault, KerasProvError):
        # Not a defect: something that the person can put right, such as an unusable database.
        switch_off()
        warn(f"{fault}; this training is not recorded")
        return
    name = _name(function)
    short = name.rpartition(".")[2] if "<" not in name else name
    _faults[name] = count = _faults.get(name, 0) + 1
    warn(
        f"internal error in {short}: {in_words(fault)}; your program runs on, with less or nothing "
        "recorded (KERASPROV_DEBUG=1 shows where)"
    )
    if count == FAULTS_ALLOWED:
        warn(
            f"{short} failed {count} times in a row: what it records is missing until the next run"
        )
