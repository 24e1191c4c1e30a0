"""What goes on in this process: one object, made when the agent is loaded.

Its recorder begins with the first thing recorded and ends with the process. Python's end is no
moment: handlers of the program's own may run after ours, and evaluate and save, and threads that
nobody waits for may train on. What is recorded so late joins the same execution, whose end is then
written again. Imports nothing that Python has not loaded.
"""

from __future__ import annotations

import _thread
import atexit
import sys

from kerasprov_agent import clock, guard, identity, silence
from kerasprov_agent.capture import import_hook, lifetime
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.worker import Worker, politely

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kerasprov_agent.capture.recorder import Recorder

LATE_SECONDS = 1.0
"""How long files are hashed at most after each activity that comes later than the end."""
STOP_SECONDS = 1.0
"""How long the end of the program waits for the thread that hashes files to lay down its work."""


class Session:
    """The recorder of this process, and what lives as long: the watch on files, the worker."""

    def __init__(self) -> None:
        self.keras: dict[str, Any] = {}
        """What `describe.machine.keras` told of the Keras that was imported."""
        self.watch = watch
        self.worker = Worker(watch, self._trace, self.watch_end)
        self.recorder: Recorder | None = None
        """None before the first thing is recorded, and after the end."""
        self._raised: BaseException | None = None
        """What the program ends with."""
        self._leaving = False
        """Whether Python ends: the end of the record has been written, or there was none yet."""
        self._is_end_watched = self._is_last_watched = False
        self._make_locks()

    def _make_locks(self) -> None:
        self._lock = _thread.allocate_lock()
        self._tracing = _thread.allocate_lock()
        """Held by the worker while it writes something down."""

    def watch_end(self) -> None:
        """Be told when the interpreter ends; Python has loaded `atexit` already."""
        if not self._is_end_watched:
            self._is_end_watched = True
            atexit.register(guard.always, self.at_exit)

    def watch_last(self) -> None:
        """Be told of the end once more, after all handlers that are registered from now on."""
        if not self._is_last_watched:
            self._is_last_watched = True
            atexit.register(guard.always, self._at_last)

    def current(self) -> Recorder:
        """The recorder of this process, begun at the first call."""
        with self._lock:
            if self.recorder is None:
                self.recorder = self._begin()
            return self.recorder

    def _begin(self) -> Recorder:
        from kerasprov_agent.capture.recorder import Recorder

        self.watch_end()
        recorder = Recorder(self.keras)
        self.watch.record(f"{recorder.execution.settings.db}-{identity.own()}.files")
        if self._leaving:
            self._await_what_is_late(recorder)
        else:
            recorder.execution.when_written = self.worker.start
            self.worker.start()
            guard.call(recorder.execution.keep_sending)
        if not recorder.execution.settings.files:
            self.watch.stop()
        self._end_with_multiprocessing()
        return recorder

    def keras_imported(self, facts: dict[str, Any]) -> None:
        """Keras is there; the record may have begun before, by a file that was written."""
        self.keras = facts
        if self.recorder is not None:
            self.recorder.keras_seen(facts)

    def _trace(self, go_on: Callable[[], bool]) -> bool:
        """Write down which files were seen, hash them, and bring SQLite's log into the file.

        Returns whether more is to be done.
        """
        if self.recorder is None and not self.watch.has_written():
            return False
        with self._tracing:
            recorder = self.current()
            recorder.files.look()
            recorder.code.look()
            to_be_hashed = recorder.contents.hash(politely(go_on))
            recorder.execution.keep_sending()
            return recorder.execution.checkpoint() or to_be_hashed

    def _trace_to_the_end(self, recorder: Recorder, limit: float | None = None) -> None:
        """Record every file seen; hash only for `hash_seconds`, or `limit` if that is less."""
        seconds = recorder.execution.settings.hash_seconds
        if limit is not None:
            seconds = min(seconds, limit)
        go_on = clock.deadline(seconds)
        # What the worker has in hand, it may still be writing.
        if self._tracing.acquire(timeout=min(seconds, _thread.TIMEOUT_MAX)):
            self._tracing.release()
        recorder.files.look()
        recorder.code.look()
        # What sets of written files came from are further sets.
        while recorder.contents.hash(go_on, at_end=True) and go_on():
            pass

    def _end_with_multiprocessing(self) -> None:
        """A child of multiprocessing leaves without Python's own exit, which would tell us."""
        util, parent = (
            sys.modules.get("multiprocessing.util"),
            sys.modules.get("multiprocessing.process"),
        )
        if util is not None and parent is not None and parent.parent_process() is not None:
            util.Finalize(None, guard.always, (self._at_exit_of_child,), exitpriority=-1000)

    def _at_exit_of_child(self) -> None:
        self._finish(sys.exc_info()[1], at_exit=False)
        self.watch.stop()

    def before_fork(self) -> None:
        """The program forks: no thread of ours may run while it does."""
        self.worker.settle()
        guard.call_own(self.watch.expect_reports)

    def unlock(self) -> None:
        """In a forked child: make the locks anew, which the parent may hold."""
        self.worker.forked()
        silence.forked()
        self.watch.become_child()
        self._make_locks()

    def forked(self) -> None:
        """In a forked child: nothing is recorded until it trains itself, as its own execution."""
        self._raised = None
        lifetime.forgetting()
        if self.recorder is not None:
            self.recorder.execution.abandon()
            self.recorder = None

    def program_raised(self, exc: BaseException) -> None:
        """The runner saw the program end with an exception; told again at exit."""
        if self._may_have_a_record():
            self._raised = exc

    def at_exit(self) -> None:
        """The interpreter ends; a file written at the last moment still has to be told of."""
        if self._leaving:
            return
        self._begin_if_written()
        if self._raised is None and not hasattr(sys, "ps1"):
            # Python keeps the exception that it printed last; the interpreter ends with it.
            self._raised = getattr(sys, "last_value", None)
        self._leaving = True
        self.watch.wake_nobody()
        self._finish(self._raised, at_exit=True)

    def _at_last(self) -> None:
        """The interpreter ends, and no handler is to come but those from before we were armed."""
        if self._may_have_a_record():
            self.at_exit()
            lifetime.ending(self._raised)
            self._begin_if_written()
            if self.recorder is not None and self.watch.pending():
                self._end_again(self.recorder)
        self._raised = None  # what its traceback holds lives no longer than without us

    def _may_have_a_record(self) -> bool:
        """Whether something was recorded, or Keras is there, or a file was written."""
        has_hooks = import_hook.loaded("capture.hooks") is not None
        return has_hooks or self.recorder is not None or self.watch.to_be_recorded

    def _begin_if_written(self) -> None:
        if self.recorder is None and self.watch.to_be_recorded and self.watch.has_written():
            self.current()

    def finish(self) -> None:
        """End the record of this execution now."""
        self._finish(self._raised if self._leaving else None, at_exit=False)

    def _finish(self, exc: BaseException | None, at_exit: bool) -> None:
        lifetime.ending(exc)
        self.worker.stop(STOP_SECONDS)
        with self._lock:
            recorder = self.recorder
            if not at_exit:
                self.recorder = None
        if not at_exit:
            lifetime.forgetting()
        if recorder is None:
            return
        recorder.execution.when_written = None
        with self.watch.quiet():
            guard.call(self._trace_to_the_end, recorder)
            self.watch.record_ends(goes_on=at_exit)
            self.watch.end_reports()
            if not at_exit:
                identity.renew()
            counts = recorder.trainings.runs, recorder.trainings.epochs
            recorder.execution.end(exc, self._leaving, *counts)
            guard.call(recorder.execution.await_sending)
        if at_exit:
            self._await_what_is_late(recorder)

    def _await_what_is_late(self, recorder: Recorder) -> None:
        """From now on the end follows on whatever is recorded."""
        recorder.execution.when_written = lambda: guard.always(self._end_again, recorder)

    def _end_again(self, recorder: Recorder) -> None:
        """Write the end of the record once more, unless something goes on in this thread."""
        execution = recorder.execution
        again = execution.when_written
        if again is None:
            return
        execution.close()  # what writes last does not know that it does
        if self.watch.under_way() is not None:
            return
        execution.when_written = None  # what is written here is not late
        try:
            with self.watch.quiet():
                guard.call(self._trace_to_the_end, recorder, LATE_SECONDS)
                self.watch.end_reports()
                counts = recorder.trainings.runs, recorder.trainings.epochs
                execution.end(self._raised, True, *counts)
        finally:
            execution.when_written = again


session = Session()
"""That of this process."""
