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
from kerasprov_agent.capture.files.marks import Marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from kerasprov_agent.capture.files.versions import Version
    from kerasprov_agent.capture.origins import Origin

DATA_CACHES = ("huggingface", "kagglehub", "torch", "tensorflow_datasets")
"""Of the caches below ~/.cache these hold data and models."""
CODE = (".py", ".pyc", ".pyi", ".pyw", ".so", ".pyd", ".dll", ".dylib", ".pth", ".ipynb", ".egg")
SYSTEM = (
    "/proc/", "/sys/", "/dev/", "/run/", "/etc/", "/usr/share/", "/usr/lib/", "/lib/",
    "/var/cache/",
)  # fmt: skip
OF_TOOLS = ("/pyproject.toml", "/setup.cfg", "/keras.json", "/matplotlibrc", "/setup.py")
"""Read by us and by tools in each program."""
PENDING_LIMIT = 200_000
"""So many files are remembered in a program that has not begun its record yet."""


class Seen:
    """A file that was opened, or got its name by a renaming."""

    __slots__ = (
        "activity", "at", "by_input", "origins", "path", "renamed_from", "version", "written",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        written: bool,
        version: Version | None = None,
        by_input: tuple[str, str] | None = None,
        renamed_from: str | None = None,
        origins: list[Origin] | None = None,
    ) -> None:
        self.path, self.written, self.version = path, written, version
        self.renamed_from, self.origins = renamed_from, origins
        self.by_input = by_input and by_input[0]
        self.at, self.activity = clock.now(), (by_input and by_input[1]) or _under_way()


def _nothing() -> None:
    """Until somebody tells, or listens."""


activity: Callable[[], str | None] = _nothing
"""What goes on in this thread: the id of a run, an evaluation, ...; see `ask_hooks`."""
step: Callable[[], str | None] = _nothing
"""The step of the program's own in which this thread's work is done; see `ask_steps`."""
wake: Callable[[], None] = _nothing
"""Called where what was noted should be written down; see `start`."""
recording = False
"""Whether this process has a record."""
to_be_recorded = False
"""Whether it is to have one: it has written a file."""
input_code: dict[CodeType, list[tuple[Any, str, str]]] = {}
"""The code by which inputs in use open their files: of each input a weak reference to it, its
data set, and the activity that it is an input of."""

report_path: str | None = None
"""Where children that this process forks tell of the files that they open."""

_WRITING = os.O_WRONLY | os.O_RDWR

_seen: list[Seen] = []
_last: dict[int, str] = {}
_known = Marks()
_collecting: list[collecting] = []
_quiet: Any = _thread._local()
_outside: tuple[str, ...] = ()
_caches = ""
_forked_in: str | None = None
"""In a forked child: what went on in the parent."""
_report_to: str | None = None
_report_read = 0
_on = False
_installed = False


def start(wake_worker: Callable[[], None]) -> None:
    """Watch from now on; `wake_worker` is called for each file, and must neither wait nor raise."""
    global _on, _installed, _outside, _caches, wake
    _on, wake = True, wake_worker
    if not _installed:
        _installed = True
        _outside = _prefixes()
        _caches = os.path.join(os.path.expanduser("~"), ".cache", "")
        sys.addaudithook(_audited)


def stop() -> None:
    """See nothing more; the hook itself stays."""
    global _on, _quiet
    _on = False
    _quiet = _thread._local()
    forget()


def wake_nobody() -> None:
    """No thread is begun any more: what is noted is written down with the next end."""
    global wake
    wake = _nothing


def ask_hooks(tell: Callable[[], str | None]) -> None:
    """The hooks are there, and tell what goes on in a thread."""
    global activity
    activity = tell


def ask_steps(tell: Callable[[], str | None]) -> bool:
    """The first step begins: they tell from now on; False: they did already."""
    global step
    if step is tell:
        return False
    step = tell
    return True


def record(report: str) -> None:
    """This process has a record; children tell of their files in `report`."""
    global recording, report_path
    recording, report_path = True, report


def record_ends(goes_on: bool) -> None:
    """The record has ended; `goes_on`: what comes late is added to it."""
    global recording
    recording = goes_on


def forget() -> None:
    """In a forked child, or when the agent stops: what was noted is the parent's, or over."""
    global recording, to_be_recorded, step
    recording = to_be_recorded = False
    step = _nothing
    _seen.clear()
    _known.clear()
    _last.clear()
    input_code.clear()


def drain() -> list[Seen]:
    """What was noted since the last time, in order. One thread at a time may ask."""
    found = _seen[:]
    del _seen[: len(found)]
    return found + _reported()


def _under_way() -> str | None:
    """The activity to which belongs what this thread does."""
    return activity() or step() or _forked_in


def is_under_way() -> bool:
    """Whether this thread is within an activity."""
    return _under_way() is not None


def expect_reports() -> None:
    """Before a fork: where a child finds this file it may tell; it is gone with the record."""
    if recording and report_path is not None and not os.path.exists(report_path):
        with quiet():
            os.close(os.open(report_path, os.O_WRONLY | os.O_CREAT, 0o600))


def become_child() -> None:
    """In a forked child: tell the parent of the files that are opened here."""
    global _report_to, report_path, _forked_in
    path = report_path if recording else _report_to
    codes, _forked_in = dict(input_code), _under_way()
    forget()
    input_code.update(codes)
    _report_to, report_path = path, None


def end_reports() -> None:
    """The record ends; what children told is taken in."""
    global report_path, _report_read
    if report_path is not None and os.path.exists(report_path):
        os.unlink(report_path)
    report_path, _report_read = None, 0


def _report(seen: Seen) -> None:
    """Tell the process that forked this one; lines so short are appended whole."""
    import json

    names = ("path", "written", "version", "by_input", "renamed_from", "origins", "at", "activity")
    line = json.dumps({name: getattr(seen, name) for name in names}) + "\n"
    with quiet():
        try:
            descriptor = os.open(str(_report_to), os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:  # the parent's record has ended
            return
        try:
            os.write(descriptor, line.encode("utf-8", "surrogatepass"))
        finally:
            os.close(descriptor)


def _reported() -> list[Seen]:
    """What children have told since the last time."""
    global _report_read
    if report_path is None or not os.path.exists(report_path):
        return []
    import json

    with quiet(), open(report_path, "rb") as stream:
        stream.seek(_report_read)
        text = stream.read()
    whole = text[: text.rfind(b"\n") + 1]
    _report_read += len(whole)
    # A child may be killed in the midst of a line: that costs this line alone.
    seen = (guard.attempt(_told, json.loads, line) for line in whole.splitlines())
    return [one for one in seen if one is not None]


def _told(loads: Callable[[bytes], Any], line: bytes) -> Seen:
    told = loads(line)
    version = told["version"] and tuple(told["version"])
    one = Seen(str(told["path"]), bool(told["written"]), version, None, told["renamed_from"])
    one.at, one.activity, one.by_input = told["at"], told["activity"], told["by_input"]
    one.origins = told["origins"] and [_origin(*origin) for origin in told["origins"]]
    return one


def has_written() -> bool:
    """Whether a file that the program has written is still there; `tempfile` tries with some."""
    global to_be_recorded
    to_be_recorded = any(one.written and os.path.isfile(one.path) for one in _seen)
    return to_be_recorded


def _origin(files: Any, confidence: str, entity_id: str | None) -> Origin:
    from kerasprov_agent.capture.origins import Origin

    known = tuple((path, version and tuple(version)) for path, version in files)
    return Origin(known, confidence, entity_id)


def pending() -> int:
    """How much was noted and not yet fetched."""
    return len(_seen)


class quiet:
    """A context in which this thread's opening of files is not noted: ours, or Keras' own."""

    def __enter__(self) -> None:
        # If recording is switched off inside the block, `__exit__` never runs; `stop()` resets it.
        self._depths = _quiet
        self._depths.depth = getattr(self._depths, "depth", 0) + 1

    def __exit__(self, *_: object) -> None:
        self._depths.depth -= 1


def is_quiet() -> bool:
    """Whether this thread's opening of files is not noted now."""
    return getattr(_quiet, "depth", 0) > 0


class collecting:
    """A context that gathers the files which are read in it, in this thread or another."""

    def __init__(self) -> None:
        self.paths: dict[str, None] = {}

    def __enter__(self) -> None:
        _collecting.append(self)

    def __exit__(self, *_: object) -> None:
        _collecting.remove(self)


def note(path: str, written: bool = False, by_input: tuple[str, str] | None = None) -> None:
    """A file was read or written where Python does not tell of it."""
    path = versions.absolute(path)
    if _on and _is_of_interest(path):
        _note(path, written, by_input)


def note_origins(path: str, found: list[Origin], by: str | None = None) -> None:
    """A file was written, and what is in it came from these.

    `by` is the activity that wrote it, where that is not the one in progress on this thread.
    """
    if _on and _is_of_interest(path):
        _note(path, True, None, found, by)


def renamed(source: str, target: str) -> None:
    """A file got another name where Python does not tell of it."""
    if _on:
        _renamed(source, target)


def last_read() -> str | None:
    """The file that this thread has opened last to read it."""
    return _last.get(_thread.get_ident())


def is_outside(path: str) -> bool:
    """Whether a path belongs to the interpreter, its packages or the system."""
    return path.startswith(_outside)


def _audited(event: str, args: tuple[Any, ...]) -> None:
    if not _on:
        return
    if event == "open":
        guard.call_own(_opened, *args)
    elif event == "os.rename":
        guard.call_own(_renamed, args[0], args[1])


def _opened(path: Any, _mode: Any, flags: int) -> None:
    if path.__class__ is int or is_quiet():
        return
    text = os.fsdecode(path)
    if _is_of_interest(text):
        text = versions.absolute(text)
        if _is_of_interest(text):
            _note(text, flags & _WRITING != 0, input_under_way())


def _renamed(source: Any, target: Any) -> None:
    if is_quiet():
        return
    source, target = versions.absolute(os.fsdecode(source)), versions.absolute(os.fsdecode(target))
    if _is_of_interest(target) and len(_seen) < PENDING_LIMIT:
        _seen.append(Seen(target, True, renamed_from=source))


def _note(
    path: str,
    written: bool,
    by_input: tuple[str, str] | None,
    origins: list[Origin] | None = None,
    by: str | None = None,
) -> None:
    global to_be_recorded
    version = None if written else versions.of_path(path)
    if len(_seen) >= PENDING_LIMIT or (not written and version is None):
        return  # nothing, a directory, a FIFO, a device
    seen = Seen(path, written, version, by_input, origins=origins)
    seen.activity = by or seen.activity
    if not written:
        _last[_thread.get_ident()] = path
        for collected in _collecting:
            collected.paths[path] = None
        if not _known.add(hash((path, seen.activity, version, seen.by_input))):
            return
    if _report_to is not None and not recording:
        _report(seen)
        return
    _seen.append(seen)
    if written and not recording and not to_be_recorded:
        to_be_recorded = _may_begin()
    if recording or to_be_recorded:
        wake()


def is_input_under_way() -> bool:
    """Whether an input in use reads: what it reads is known as the input's."""
    return input_under_way() is not None


def input_under_way() -> tuple[str, str] | None:
    """The data set whose code is under way in this thread, if one's is, and its activity."""
    if not input_code:
        return None
    frame: Any = sys._getframe(1)
    while frame is not None:
        found = input_code.get(frame.f_code)
        if found is not None:
            return _input_of(frame, found)
        frame = frame.f_back
    return None


def _input_of(frame: Any, found: list[tuple[Any, str, str]]) -> tuple[str, str] | None:
    """Which of the inputs that have a code in common is at work in a frame."""
    if len(found) > 1:
        names = frame.f_code.co_varnames
        this = frame.f_locals.get(names[0]) if frame.f_code.co_argcount else None
        for held, data_id, activity_id in found:
            one = held()
            if one is not None and (one is this or getattr(one, "gi_frame", None) is frame):
                return data_id, activity_id
        return None
    return found[0][1:]


def _may_begin() -> bool:
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
    return file.endswith(".py") and not is_outside(versions.absolute(file))


def _is_of_interest(path: str) -> bool:
    if path.startswith(_outside) or path.endswith(CODE) or path.endswith(OF_TOOLS):
        return False
    if path.startswith(_caches) and not path[len(_caches) :].startswith(DATA_CACHES):
        return False
    return "/.git/" not in path and "__pycache__" not in path


def _prefixes() -> tuple[str, ...]:
    """Where the interpreter, its packages, the system and settings of tools lie."""
    home = os.path.expanduser("~")
    places = {
        sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix,
        os.path.dirname(os.__file__),
        *(path for path in sys.path if path.endswith(("site-packages", "dist-packages"))),
        *(os.path.join(home, name) for name in (
            ".config", ".matplotlib", ".ipython", ".jupyter", ".nv", ".local/lib",
            ".local/share/jupyter",
        )),
    }  # fmt: skip
    found = {os.path.join(place, "") for place in places if place not in ("", "/", "/usr", home)}
    return (*sorted(found), *SYSTEM)
