"""A thread beside the program's: writes down what was seen of files, and hashes them.

It lives while there is something to do. It is started with `_thread`: `threading` would take locks
that the program's `open` may hold already, and count it among the program's threads.
"""

from __future__ import annotations

import _thread
from time import perf_counter, sleep, thread_time

from kerasprov_agent import guard, silence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kerasprov_agent.capture.files.watching import Watch

    GoOn = Callable[[], bool]

PAUSE_SECONDS = 0.2
"""What is seen is written down after so long."""
IDLE_ROUNDS = 5
STEPS = 16
"""After so many steps of its work the thread looks how long it had to wait ..."""
RESTS = 3
"""... and rests so many times as long ..."""
REST_SECONDS = 0.05
"""... but no longer than this."""
FORK_SECONDS = 1.0
"""A fork waits at most so long for the thread: SQLite and Python want none beside it."""


class Worker:
    """The thread of a session.

    `trace(go_on)` does the work and returns whether more is to be done. `begun` is called before
    the thread begins.
    """

    def __init__(
        self, watch: Watch, trace: Callable[[GoOn], bool], begun: Callable[[], None]
    ) -> None:
        self._watch = watch
        self._trace = trace
        self._begun = begun
        self._turn = 0
        """Counts the orders to end: a thread of an earlier turn ends when it looks."""
        self._make_locks()

    def _make_locks(self) -> None:
        self._alive = _thread.allocate_lock()
        """Held while there is a thread."""
        self._wake = _thread.allocate_lock()
        """Released to wake the thread out of its pause."""
        self._wake.acquire()

    def start(self) -> None:
        """Begin, if it is not under way. Neither waits nor raises."""
        if not self._alive.acquire(False):
            return
        self._begun()
        try:
            _thread.start_new_thread(self._run, (self._turn,))
        except RuntimeError:  # no more threads, or Python is ending
            self._alive.release()

    def stop(self, seconds: float) -> bool:
        """Let it come to an end, waiting for so long at most; returns whether it has."""
        self._turn += 1
        if self._wake.locked():
            self._wake.release()
        has_ended = self._alive.acquire(timeout=seconds)
        if has_ended:
            self._alive.release()
        return has_ended

    def settle(self) -> None:
        """The program forks: no thread of ours is there then, and none is taken over."""
        if self._alive.locked() and self.stop(FORK_SECONDS):
            sleep(0.001)  # the system, too, has to see that it ended

    def forked(self) -> None:
        """In a forked child: locks that the parent may hold are made anew."""
        self._make_locks()

    def _run(self, turn: int) -> None:
        # A turn that was told to end stays told so, however late the thread gets to hear of it.
        def goes_on() -> bool:
            return turn == self._turn

        idle = 0
        try:
            while idle < IDLE_ROUNDS and goes_on():
                self._wake.acquire(timeout=PAUSE_SECONDS)
                with silence.beside(), self._watch.quiet():
                    more = guard.call(self._trace, goes_on)
                idle = 0 if more else idle + 1
        finally:
            self._alive.release()
        if self._watch.recording and self._watch.pending() and goes_on():
            self.start()


def politely(go_on: GoOn) -> GoOn:
    """As `go_on`, which is asked at each step of work, but with rests while others are in a hurry.

    Two threads that both open many small files wait for each other at each of them, for Python's
    lock. The program would wait for us a hundred times as long as its own work takes.
    """
    steps, wall, used = 0, perf_counter(), thread_time()

    def goes_on() -> bool:
        nonlocal steps, wall, used
        steps += 1
        if steps % STEPS == 0 and go_on():
            waited = perf_counter() - wall - (thread_time() - used)
            sleep(min(max(RESTS * waited, 0.0), REST_SECONDS))
            wall, used = perf_counter(), thread_time()
        return go_on()

    return goes_on
