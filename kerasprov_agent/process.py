"""The recorder of this process: begun with the first thing recorded, ended with the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from kerasprov_agent import guard, identity
from kerasprov_agent.recorder import Recorder

keras: dict[str, Any] = {}
"""What `describe.machine.keras` told of the Keras that was imported."""

ending: list[Callable[[BaseException | None], None]] = []
"""Called before the record of this process ends, with the exception it ends with."""

forgetting: list[Callable[[], None]] = []
"""Called in a forked child, and when the agent stops: nothing is in progress any more."""

_current: Recorder | None = None
_lock = threading.Lock()
_watching = False
_raised: BaseException | None = None


def current() -> Recorder:
    """The recorder of this process, begun at the first call."""
    global _current
    with _lock:
        if _current is None:
            _current = Recorder(keras)
            _end_with_multiprocessing()
        return _current


def watch_forks() -> None:
    """End the record with the process, and begin none in a child that merely was forked."""
    global _watching
    if not _watching:
        _watching = True
        atexit.register(guard.always, _at_exit)
        if hasattr(os, "register_at_fork"):
            identity.watch_forks()
            os.register_at_fork(after_in_child=_forked)


def _end_with_multiprocessing() -> None:
    """A child of multiprocessing leaves without Python's own exit, which would tell us."""
    util, parent = (
        sys.modules.get("multiprocessing.util"),
        sys.modules.get("multiprocessing.process"),
    )
    if util is not None and parent is not None and parent.parent_process() is not None:
        util.Finalize(None, guard.always, (_at_exit_of_child,), exitpriority=-1000)


def _at_exit_of_child() -> None:
    _finish(sys.exc_info()[1], at_exit=False)


def _forked() -> None:
    """In the child: nothing is recorded until it trains itself, then as an execution of its own."""
    global _current, _lock, _raised
    _lock = threading.Lock()
    _raised = None
    for forget in forgetting:
        forget()
    if _current is not None:
        _current.execution.abandon()
        _current = None


def program_raised(exc: BaseException) -> None:
    """The runner saw the program end with an exception; told again at exit."""
    global _raised
    _raised = exc


def _at_exit() -> None:
    exc = _raised
    if exc is None and not hasattr(sys, "ps1"):
        # Python keeps the exception that it printed last; the interpreter ends with it.
        exc = getattr(sys, "last_value", None)
    _finish(exc, at_exit=True)


def finish() -> None:
    """End the record of this execution now."""
    _finish(None, at_exit=False)


def _finish(exc: BaseException | None, at_exit: bool) -> None:
    global _current
    for tell in ending:
        guard.call(tell, exc)
    with _lock:
        recorder, _current = _current, None
    if not at_exit:
        for forget in forgetting:
            forget()
    if recorder is not None:
        identity.renew()
        recorder.execution.end(exc, at_exit, recorder.runs, recorder.epochs)
