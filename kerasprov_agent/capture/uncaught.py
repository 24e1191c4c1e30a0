"""How an exception leaves `python -m kerasprov_agent`: as it would leave `python`.

Python itself sets `sys.last_value`, calls `sys.excepthook`, tells of a hook that fails or is
missing, and picks the exit status. Only the traceback that it does this with begins with frames of
`runpy` and of ours; they are cut off when Python reaches for the hook.
"""

from __future__ import annotations

import io
import sys
from types import CodeType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def leave(exc: BaseException, beneath: CodeType) -> None:
    """Let Python show an exception that is about to leave without our frames.

    `beneath` is the code of the frame below the program's.
    """
    global _held
    # Python shows a SystemExit only where it then asks a person what to do (-i).
    if not isinstance(exc, SystemExit) or sys.flags.inspect:
        sys.excepthook = _held = _Handover(exc, beneath).__exit__


class _Handover(io.IOBase):
    """Takes the place of the program's `sys.excepthook` until Python calls it.

    A function there would be a frame below the hook's, and in the traceback of a hook that fails.
    `__exit__` is none: it is written in C, drops what it is given, and calls what `close` is. The
    property's own frame is gone by then.
    """

    closed = True  # There is no file that would have to be closed.

    def __init__(self, exc: BaseException, beneath: CodeType) -> None:
        self._exc: BaseException = exc
        self._beneath = beneath
        self._hook: Any = vars(sys).get("excepthook", _MISSING)

    @property
    def close(self) -> Callable[[], object]:  # type: ignore[override]
        """Put all in the place that it has without us; returns what calls the program's hook."""
        exc, hook = self._exc, self._hook
        del self._exc, self._hook
        traceback = _above(self._beneath, exc.__traceback__)
        # Assigning to `__traceback__` fails where the class is a frozen dataclass.
        BaseException.with_traceback(exc, traceback)
        if getattr(sys, "last_value", None) is exc:
            sys.last_traceback = traceback
        if hook is _MISSING:
            del sys.excepthook
            hook = _DISPLAY
            print("sys.excepthook is missing", file=sys.stderr or sys.__stderr__)
        else:
            sys.excepthook = hook
        # A partial would do, but for a hook that can't be called: Python has to find that out.
        return map(hook, [type(exc)], [exc], [traceback]).__next__


_MISSING = object()
_DISPLAY = sys.__excepthook__
_held: object = None
"""Python does not hold the hook that it calls; ours is replaced while it is called."""


def _above(code: CodeType, traceback: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that is above the frame of `code`."""
    entry = traceback
    while entry is not None and entry.tb_frame.f_code is not code:
        entry = entry.tb_next
    return traceback if entry is None else entry.tb_next
