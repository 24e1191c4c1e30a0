"""Sees which files the program opens and renames, by Python's audit events.

An audit hook can't be taken out again and runs inside every `open`: it filters, notes, and never
waits or raises. What it notes is fetched by `drain`. Imports nothing that Python has not loaded.
"""

from __future__ import annotations

import _thread
import os
import sys

from kerasprov_agent import clock, guard, identity
from kerasprov_agent.capture.files import versions
from kerasprov_agent.capture.files.interest import Interest
from kerasprov_agent.capture.files.marks import Marks
from kerasprov_agent.capture.files.seen import Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kerasprov_agent.capture.files.input_code import Input, InputCode
    from kerasprov_agent.capture.files.reports import Reading
    from kerasprov_agent.capture.origins import Origin

PENDING_LIMIT = 200_000
"""So many files are remembered in a program that has not begun its record yet."""
_WRITING = os.O_WRONLY | os.O_RDWR


def _nothing() -> None:
    """Until somebody tells, or listens."""


class Watch:
    """What this process opens, writes and renames; one for each process, armed or not."""

    def __init__(self) -> None:
        self._on = False
        self._interest: Interest | None = None
        """Known once the audit hook is installed."""
        self._quiet: Any = _thread._local()
        """`depth`: within how many blocks a thread is in which nothing is noted."""
        self._collecting: list[Collecting] = []
        self._wake: Callable[[], None] = _nothing
        """Called where what was noted should be written down."""
        self.activity: Callable[[], str | None] = _nothing
        """What goes on in this thread: the id of a run, an evaluation, ..."""
        self._step: Callable[[], str | None] = _nothing
        """The program's own step in which this thread's work is done."""
        self._forked_in: str | None = None
        """In a forked child: what went on in the parent."""
        self._tell_parent: Callable[[Seen], None] | None = None
        """In a forked child: how the parent is told, if it has a record."""
        self._children: Reading | None = None
        """What children that this process forks tell, while it has a record."""
        self._forget()

    def _forget(self) -> None:
        self.recording = False
        """Whether this process has a record."""
        self.to_be_recorded = False
        """Whether it is to have one: it has written a file."""
        self._seen: list[Seen] = []
        self._known = Marks()
        """Hashes of what was read, so that it is noted once."""
        self._last: dict[int, str] = {}
        """By thread: the file that was opened last to be read."""
        self.input_code: InputCode | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Watch from now on; `wake` is called for each file, and must neither wait nor raise."""
        self._on, self._wake = True, wake
        if self._interest is None:
            self._interest = Interest()
            sys.addaudithook(self._hook())

    def stop(self) -> None:
        """See nothing more; the hook itself stays."""
        self._on = False
        self._quiet = _thread._local()
        self._step = _nothing
        self._forget()

    def wake_nobody(self) -> None:
        """Start no worker any more; what is noted from now on is written when the record ends."""
        self._wake = _nothing

    def ask_hooks(self, tell: Callable[[], str | None]) -> None:
        """From now on the hooks tell which activity is running in a thread."""
        self.activity = tell

    def ask_steps(self, tell: Callable[[], str | None]) -> bool:
        """From now on steps tell which step is running; returns False if they did so already."""
        if self._step is tell:
            return False
        self._step = tell
        return True

    def record(self, report: str) -> None:
        """This process has a record; children tell of their files in `report`."""
        from kerasprov_agent.capture.files.reports import Reading

        self.recording, self._children = True, Reading(report)

    def record_ends(self, goes_on: bool) -> None:
        """The record has ended; `goes_on`: what comes late is added to it."""
        self.recording = goes_on
        if not goes_on:
            self.input_code = None

    def drain(self) -> list[Seen]:
        """What was noted since the last time, in order. One thread at a time may ask."""
        seen = self._seen[:]
        del self._seen[: len(seen)]
        if self._children is None:
            return seen
        with self.quiet():
            return seen + self._children.read()

    def pending(self) -> int:
        """How much was noted and not yet fetched."""
        return len(self._seen)

    def has_written(self) -> bool:
        """Whether a file that the program has written is still there; `tempfile` tries with some.

        The answer is kept in `to_be_recorded`.
        """
        self.to_be_recorded = any(seen.written and os.path.isfile(seen.path) for seen in self._seen)
        return self.to_be_recorded

    def under_way(self) -> str | None:
        """The activity that this thread is working for."""
        return self.activity() or self._step() or self._forked_in

    def expect_reports(self) -> None:
        """Before a fork: a child may tell of its files until the record of this process ends."""
        if self.recording and self._children is not None:
            with self.quiet():
                self._children.expect()

    def end_reports(self) -> None:
        """The record ends; what children told is taken in."""
        if self._children is not None:
            self._children.end()
        self._children = None

    def become_child(self) -> None:
        """In a forked child: forget what was noted, and report files to the parent from now on."""
        code, self._forked_in = self.input_code, self.under_way()
        if self.recording and self._children is not None:
            path = self._children.path
            from kerasprov_agent.capture.files import reports

            self._tell_parent = lambda seen: reports.tell(path, seen)
        elif self.recording:
            self._tell_parent = None
        self._children, self._step = None, _nothing
        self._forget()
        self.input_code = code

    def quiet(self) -> Quiet:
        """A context in which this thread's opening of files is not noted: ours, or Keras' own."""
        return Quiet(self._quiet)

    def is_quiet(self) -> bool:
        """Whether this thread's opening of files is not noted now."""
        return getattr(self._quiet, "depth", 0) > 0

    def collecting(self) -> Collecting:
        """A context that gathers the files which are read in it, in this thread or another."""
        return Collecting(self._collecting)

    def note(self, path: str, written: bool = False, given: Input | None = None) -> None:
        """A file was read or written where Python does not tell of it."""
        path = versions.absolute(path)
        if self._on and self._is_of_interest(path):
            self._note(path, written, given)

    def note_origins(self, path: str, origins: list[Origin], by: str | None = None) -> None:
        """A file was written, and what is in it came from these.

        `by` is the activity that wrote it, where that is not the one in progress on this thread.
        """
        if self._on and self._is_of_interest(path):
            self._note(path, True, None, origins, by)

    def note_renamed(self, source: str, target: str) -> None:
        """A file got another name where Python does not tell of it."""
        if self._on:
            self._renamed(source, target)

    def last_read(self) -> str | None:
        """The file that this thread has opened last to read it."""
        return self._last.get(_thread.get_ident())

    def is_outside(self, path: str) -> bool:
        """Whether a path belongs to the interpreter, its packages or the system."""
        return self._interest is not None and self._interest.is_outside(path)

    def input_under_way(self) -> Input | None:
        """The input in use whose code is at work on this thread."""
        return None if self.input_code is None else self.input_code.under_way()

    def is_input_under_way(self) -> bool:
        """Whether an input in use reads: what it reads is known as the input's."""
        return self.input_under_way() is not None

    def _hook(self) -> Callable[[str, tuple[Any, ...]], None]:
        """What Python calls for each audit event: a hundred thousand times while Keras is imported.

        It is a function and no method: Python asks it for `__cantrace__` each time, and a method
        that has none takes four times as long to say so as all else that is done here.
        """

        def audited(event: str, args: tuple[Any, ...]) -> None:
            if event == "open":
                if self._on:
                    guard.call_own(self._opened, *args)
            elif event == "os.rename" and self._on:
                guard.call_own(self._renamed, args[0], args[1])

        return audited

    def _is_of_interest(self, path: str) -> bool:
        return self._interest is not None and self._interest.holds(path)

    def _opened(self, path: Any, _mode: Any, flags: int) -> None:
        if path.__class__ is int or self.is_quiet():
            return
        text = os.fsdecode(path)
        if self._is_of_interest(text):
            text = versions.absolute(text)
            if self._is_of_interest(text):
                self._note(text, flags & _WRITING != 0, self.input_under_way())

    def _renamed(self, source: Any, target: Any) -> None:
        if self.is_quiet():
            return
        source = versions.absolute(os.fsdecode(source))
        target = versions.absolute(os.fsdecode(target))
        if self._is_of_interest(target) and len(self._seen) < PENDING_LIMIT:
            now, activity = clock.now(), self.under_way()
            self._seen.append(Seen(target, True, None, now, activity, renamed_from=source))

    def _note(
        self,
        path: str,
        written: bool,
        given: Input | None,
        origins: list[Origin] | None = None,
        by: str | None = None,
    ) -> None:
        version = None if written else versions.of_path(path)
        if len(self._seen) >= PENDING_LIMIT or (not written and version is None):
            return  # nothing, a directory, a FIFO, a device
        activity = by or (given and given.activity_id) or self.under_way()
        data_id = given and given.data_id
        if not written:
            self._last[_thread.get_ident()] = path
            for collecting in self._collecting:
                collecting.paths[path] = None
            if not self._known.add(hash((path, activity, version, data_id))):
                return
        seen = Seen(path, written, version, clock.now(), activity, data_id, origins=origins)
        if self._tell_parent is not None and not self.recording:
            with self.quiet():
                self._tell_parent(seen)
            return
        self._seen.append(seen)
        if written and not self.recording and not self.to_be_recorded:
            self.to_be_recorded = self._may_begin()
        if self.recording or self.to_be_recorded:
            self._wake()

    def _may_begin(self) -> bool:
        """Whether a program that trains nothing is recorded because it writes a file.

        A program of the user's own that prepares data; not each tool that Python runs.
        """
        if identity.program:
            return True
        if "numpy" not in sys.modules:
            return False
        file = getattr(sys.modules.get("__main__"), "__file__", None)
        if file is None:
            return "ipykernel" in sys.modules
        return file.endswith(".py") and not self.is_outside(versions.absolute(file))


class Quiet:
    """Within its block this thread's opening of files is not noted."""

    def __init__(self, depths: Any) -> None:
        # If recording is switched off inside the block, `__exit__` never runs; `stop()` resets it.
        self._depths = depths

    def __enter__(self) -> None:
        self._depths.depth = getattr(self._depths, "depth", 0) + 1

    def __exit__(self, *_: object) -> None:
        self._depths.depth -= 1


class Collecting:
    """Gathers the paths of the files that are read within its block."""

    def __init__(self, all_open: list[Collecting]) -> None:
        self.paths: dict[str, None] = {}
        self._all_open = all_open

    def __enter__(self) -> Collecting:
        self._all_open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._all_open.remove(self)


watch = Watch()
"""What this process opens. It belongs to the session, and is needed before there is one."""
