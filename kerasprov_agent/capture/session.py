"""The recorder of this process: begun with the first thing recorded, ended with the process.

Python's end is no moment: handlers of the program's own may run after ours, and evaluate and save,
and threads that nobody waits for may train on. What is recorded so late joins the same execution,
whose end is then written again.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerasprov_agent import clock, guard, identity
from kerasprov_agent.capture import lifetime, worker
from kerasprov_agent.capture.files import watching

if TYPE_CHECKING:
    from kerasprov_agent.capture.recorder import Recorder

LATE_SECONDS = 1.0
"""How long files are hashed at most after each activity that comes later than the end."""
STOP_SECONDS = 1.0
"""How long the end of the program waits for the thread that hashes files to lay down its work."""

keras: dict[str, Any] = {}
"""What `describe.machine.keras` told of the Keras that was imported."""

_current: Recorder | None = None
_lock = threading.Lock()
_tracing = threading.Lock()
"""Held by the thread beside the program's while it writes something down."""
_raised: BaseException | None = None
_leaving = False
"""Whether Python ends: the end of the record has been written, or there was no record yet."""


def current() -> Recorder:
    """The recorder of this process, begun at the first call."""
    global _current
    with _lock:
        if _current is None:
            from kerasprov_agent.capture.recorder import Recorder

            worker.watch_end()
            _current = Recorder(keras)
            watching.record(f"{_current.execution.settings.db}-{identity.own()}.files")
            if _leaving:
                _await_what_is_late(_current)
            else:
                _current.execution.when_written = worker.start
                worker.start()
            if not _current.execution.settings.files:
                watching.stop()
            _end_with_multiprocessing()
        return _current


def keras_imported(facts: dict[str, Any]) -> None:
    """Keras is there; the record may have begun before, by a file that was written."""
    global keras
    keras = facts
    if _current is not None:
        _current.keras_seen(facts)


def trace(go_on: Callable[[], bool]) -> bool:
    """Write down which files were seen, hash them, and bring SQLite's log into the file.

    Returns whether more is to be done.
    """
    if _current is None and not watching.has_written():
        return False
    with _tracing:
        recorder = current()
        recorder.files_seen()
        recorder.code_seen()
        to_be_hashed = recorder.hash_files(go_on)
        return recorder.execution.checkpoint() or to_be_hashed


def _trace_to_the_end(recorder: Recorder, limit: float = math.inf) -> None:
    """Record every file seen; hash only for `hash_seconds`."""
    seconds = min(recorder.execution.settings.hash_seconds, limit)
    go_on = clock.deadline(seconds)
    # What the thread has in hand, it may still be writing.
    if _tracing.acquire(timeout=seconds):
        _tracing.release()
    recorder.files_seen()
    recorder.code_seen()
    # What sets of written files came from are further sets.
    while recorder.hash_files(go_on, at_end=True) and go_on():
        pass


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
    watching.stop()


def forked() -> None:
    """In a forked child: nothing is recorded until it trains itself, as an execution of its own."""
    global _current, _lock, _tracing, _raised
    _lock, _tracing = threading.Lock(), threading.Lock()
    _raised = None
    lifetime.forgetting()
    if _current is not None:
        _current.execution.abandon()
        _current = None


def program_raised(exc: BaseException) -> None:
    """The runner saw the program end with an exception; told again at exit."""
    global _raised
    _raised = exc


def at_exit() -> None:
    """The interpreter ends; a file that was written at the last moment still has to be told of."""
    global _leaving, _raised
    if _leaving:
        return
    if _current is None and watching.to_be_recorded and watching.has_written():
        current()
    if _raised is None and not hasattr(sys, "ps1"):
        # Python keeps the exception that it printed last; the interpreter ends with it.
        _raised = getattr(sys, "last_value", None)
    _leaving = True
    watching.wake_nobody()
    _finish(_raised, at_exit=True)


def at_last() -> None:
    """The interpreter ends, and no handler is to come but those from before we were armed."""
    global _raised
    at_exit()
    lifetime.ending(_raised)
    if _current is None and watching.to_be_recorded and watching.has_written():
        current()
    if _current is not None and watching.pending():
        _end_again(_current)
    _raised = None  # what its traceback holds lives no longer than without us


def finish() -> None:
    """End the record of this execution now."""
    _finish(_raised if _leaving else None, at_exit=False)


def _finish(exc: BaseException | None, at_exit: bool) -> None:
    global _current
    lifetime.ending(exc)
    worker.stop(STOP_SECONDS)
    with _lock:
        recorder = _current
        if not at_exit:
            _current = None
    if not at_exit:
        lifetime.forgetting()
    if recorder is None:
        return
    recorder.execution.when_written = None
    with watching.quiet():
        guard.call(_trace_to_the_end, recorder)
        watching.record_ends(goes_on=at_exit)
        watching.end_reports()
        if not at_exit:
            identity.renew()
        recorder.execution.end(exc, _leaving, recorder.runs, recorder.epochs)
    if at_exit:
        _await_what_is_late(recorder)


def _await_what_is_late(recorder: Recorder) -> None:
    """From now on the end follows on whatever is recorded."""
    recorder.execution.when_written = lambda: guard.always(_end_again, recorder)


def _end_again(recorder: Recorder) -> None:
    """Write the end of the record once more, unless something goes on in this thread."""
    execution = recorder.execution
    again = execution.when_written
    if again is None:
        return
    execution.close()  # what writes last does not know that it does
    if watching.is_under_way():
        return
    execution.when_written = None  # what is written here is not late
    try:
        with watching.quiet():
            guard.call(_trace_to_the_end, recorder, LATE_SECONDS)
            watching.end_reports()
            execution.end(_raised, True, recorder.runs, recorder.epochs)
    finally:
        execution.when_written = again
