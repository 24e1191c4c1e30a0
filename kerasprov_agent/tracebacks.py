"""Tracebacks that our code stands in: taking our frames off, knowing the program's handlers."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

_SIGNALS = range(1, 128)
_VARARGS = 0x04
"""The flag of code that takes `*args`."""


def drop_frames(exc: BaseException, count: int = 1) -> None:
    """Take the outermost frames off an exception's traceback: those of ours that called.

    The exception is then raised again by a bare `raise`. Before Python 3.11 that adds the frame
    which raises.
    """
    for _ in range(count):
        if exc.__traceback__ is not None:
            exc.__traceback__ = exc.__traceback__.tb_next


def pass_on(exc: BaseException) -> None:
    """Raise what a signal handler raised while our code was at work: a time limit, for instance.

    Python calls a handler in whatever frame it has just reached, and gives it that frame. Frames of
    ours have no place in the traceback: where we were interrupted they may not even have a line.
    """
    traceback = exc.__traceback__
    while traceback is not None:
        if _is_signal_handler(traceback.tb_frame):
            raise exc.with_traceback(traceback)
        traceback = traceback.tb_next


def is_of_a_signal_handler(exc: BaseException) -> bool:
    """Whether a signal handler of the program's raised this: what we catch may not be ours."""
    traceback = exc.__traceback__
    while traceback is not None:
        if _is_signal_handler(traceback.tb_frame):
            return True
        traceback = traceback.tb_next
    return False


def is_in_between(outermost: CodeType) -> bool:
    """Whether what calls us came between two steps of our own, within a call of this code.

    That is what a signal handler of the program's calls, or a destructor that the collector of
    garbage has called.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code is not outermost:
        if not _is_ours(frame) and (frame.f_code.co_name == "__del__" or _is_signal_handler(frame)):
            return True
        frame = frame.f_back
    return False


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return type(name) is str and name.startswith("kerasprov_agent.")


def _is_signal_handler(frame: FrameType) -> bool:
    code, interrupted = frame.f_code, frame.f_back
    if interrupted is None:
        return False
    names = code.co_varnames[: code.co_argcount]
    if code.co_flags & _VARARGS:
        names += (code.co_varnames[code.co_argcount + code.co_kwonlyargcount],)
    given: list[Any] = []
    for name in names:
        value = frame.f_locals.get(name)
        given += value if type(value) is tuple else (value,)
    # What lies about its class, or raises when it is asked for it, is not asked.
    is_number = any(issubclass(type(value), int) and value in _SIGNALS for value in given)
    return is_number and any(value is interrupted for value in given)
