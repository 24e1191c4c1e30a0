"""Who called: the callback, or the place in the program, from which a call of Keras came."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from kerasprov_agent import settings
from kerasprov_agent.capture.describe.callbacks import is_kind
from kerasprov_agent.capture.describe.values import public_name

LIBRARIES = frozenset(
    ("keras", "tf_keras", "tensorflow", "jax", "torch", "kerasprov_agent", "wrapt", "contextlib")
)


def callers() -> Iterator[FrameType]:
    """The frames that led here, the innermost first, without our own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _package(frame) != "kerasprov_agent":
            yield frame
        frame = frame.f_back


def program_place() -> str | None:
    """`file:line` of the innermost frame outside of Keras and its backends."""
    return next((place(frame) for frame in callers() if not is_library(frame)), None)


def calling_module() -> str | None:
    """The module that called Keras: the program's own, or a library's that calls it for that.

    Keras' wrappers for scikit-learn count as such a library; tools that only wrap `fit` do not.
    """
    for frame in callers():
        name = str(frame.f_globals.get("__name__", ""))
        if ".wrappers." in name or not (is_library(frame) or _package(frame) == "mlflow"):
            return name or None
    return None


def actor() -> str | None:
    """The class of the callback that is at work; without one, the place in the program.

    None if Keras itself acts.
    """
    place_in_program = None
    for frame in callers():
        callback = _callback_of(frame)
        if callback is not None:
            return public_name(type(callback))
        if not is_library(frame):
            place_in_program = place_in_program or place(frame)
        elif frame.f_code.co_name == "fit":
            break
    return place_in_program


def callback_at_work() -> Any:
    """The callback whose method led here; None without one."""
    for frame in callers():
        callback = _callback_of(frame)
        if callback is not None or (is_library(frame) and frame.f_code.co_name == "fit"):
            return callback
    return None


def _callback_of(frame: FrameType) -> Any:
    """The callback of which a method such as `on_epoch_end` is at work in a frame."""
    name = frame.f_code.co_name
    if not name.startswith("on_") or not name.endswith(("_begin", "_end")):
        return None
    callback = instance(frame)
    is_callback = hasattr(type(callback), "set_model")
    return callback if is_callback and not is_kind(callback, "CallbackList") else None


def place(frame: FrameType) -> str:
    """`file:line`, below the directory where the program started without that directory."""
    path = frame.f_code.co_filename
    start = settings.start_directory() + os.sep
    return f"{path.removeprefix(start)}:{frame.f_lineno}"


def arguments_of_constructor(made: Any) -> dict[str, Any]:
    """What the outermost constructor at work on `made` was given, by name."""
    arguments: dict[str, Any] = {}
    for frame in callers():
        code = frame.f_code
        if code.co_name != "__init__" or instance(frame) is not made:
            break
        given, last = frame.f_locals, code.co_argcount + code.co_kwonlyargcount
        arguments = {name: given[name] for name in code.co_varnames[1:last] if name in given}
        if code.co_flags & inspect.CO_VARKEYWORDS:
            last += bool(code.co_flags & inspect.CO_VARARGS)
            arguments.update(given.get(code.co_varnames[last], {}))
    return arguments


def instance(frame: FrameType) -> Any:
    """The first argument of the function at work in a frame."""
    names = frame.f_code.co_varnames
    return frame.f_locals.get(names[0]) if frame.f_code.co_argcount else None


def is_library(frame: FrameType) -> bool:
    """Whether this is code of Keras or what it runs on, not of the program."""
    return _package(frame) in LIBRARIES


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
