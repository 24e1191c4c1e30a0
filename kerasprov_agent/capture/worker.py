"""A thread beside the program's: writes down what was seen of files, and hashes them.

It lives while there is something to do. It is started with `_thread`: `threading` would take locks
that the program's `open` may hold already, and count it among the program's threads.
"""

from __future__ import annotations

import _thread
import atexit
from time import sleep

from kerasprov_agent import guard
from kerasprov_agent.capture import import_hook
from kerasprov_agent.capture.files import watching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PAUSE_SECONDS = 0.2
"""What is seen is written down after so long."""
IDLE_ROUNDS = 5
FORK_SECONDS = 1.0
"""A fork waits at most so long for the thread: SQLite and Python want none beside it."""

_load_session: Callable[[], Any] | None = None
"""Gives the module `session`, which is loaded when there is something to record."""

_alive = _thread.allocate_lock()
_wake = _thread.allocate_lock()
_wake.acquire()
_turn = 0
_watching_end = False
_watching_last = False


def start() -> None:
    """Begin, if it is not under way. Neither waits nor raises."""
    if not _alive.acquire(False):
        return
    watch_end()
    try:
        _thread.start_new_thread(_run, (_turn,))
    except RuntimeError:  # no more threads, or Python is ending
        _alive.release()


def stop(seconds: float) -> bool:
    """Let it come to an end, waiting for so long at most; returns whether it has."""
    global _turn
    _turn += 1
    if _wake.locked():
        _wake.release()
    ended = _alive.acquire(timeout=seconds)
    if ended:
        _alive.release()
    return ended


def watch_end() -> None:
    """Be told when the interpreter ends; Python has loaded `atexit` already."""
    global _watching_end
    if not _watching_end:
        _watching_end = True
        atexit.register(guard.always, _at_exit)


def watch_last() -> None:
    """Be told of the end once more, after all handlers that are registered from now on."""
    global _watching_last
    if not _watching_last:
        _watching_last = True
        atexit.register(guard.always, _at_last)


def _at_exit() -> None:
    _session().at_exit()


def _at_last() -> None:
    if import_hook.loaded("capture.session") is not None or watching.to_be_recorded:
        _session().at_last()


def settle() -> None:
    """The program forks: no thread of ours is there then, and none is taken over."""
    if _alive.locked() and stop(FORK_SECONDS):
        sleep(0.001)  # the system, too, has to see that it ended
    guard.call_own(watching.expect_reports)


def forked() -> None:
    """In a forked child: locks that the parent may hold are made anew."""
    global _alive, _wake
    _alive, _wake = _thread.allocate_lock(), _thread.allocate_lock()
    _wake.acquire()
    guard.forked()
    watching.become_child()


def _run(turn: int) -> None:
    # A turn that was told to end stays told so, however late the thread gets to hear of it.
    def goes_on() -> bool:
        return turn == _turn

    idle = 0
    try:
        while idle < IDLE_ROUNDS and goes_on():
            _wake.acquire(timeout=PAUSE_SECONDS)
            with guard.beside(), watching.quiet():
                more = guard.call(_step, goes_on)
            idle = 0 if more else idle + 1
    finally:
        _alive.release()
    if watching.recording and watching.pending() and goes_on():
        start()


def _step(goes_on: Callable[[], bool]) -> bool:
    more: bool = _session().trace(goes_on)
    return more


def load_session_by(load: Callable[[], Any]) -> None:
    """How the module `session` is loaded; arming says so, since that loads nothing."""
    global _load_session
    _load_session = load


def _session() -> Any:
    assert _load_session is not None  # else nobody would be here
    return _load_session()
