"""Pillow: an image knows the file that it was opened from, and so does what is made of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.files import paths, versions
from kerasprov_agent.capture.files.versions import Version
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.patching import functions
from kerasprov_agent.kinds import is_a

BYTES_LIMIT = 64 << 20
"""Larger images that were read into memory first are not compared with their file."""

File = tuple[str, Version | None]

_files: dict[int, tuple[Any, File]] = {}
"""By the id of a live image: images can't be keys, they compare by their pixels."""


def install(module: Any) -> None:
    """Wrap what opens images, makes them of others, and gives their pixels."""
    functions.apply(module, "open", _before_open, _opened)
    functions.apply(module.Image, "_new", _before_new, _made)
    _watch_pixels(module.Image)


def file_of(image: Any) -> File | None:
    """The file that an image came from."""
    entry = _files.get(id(image))
    return entry[1] if entry is not None and entry[0]() is image else None


def _know(image: Any, file: File) -> None:
    key = id(image)
    _files[key] = ref(image, lambda _: _files.pop(key, None)), file


def _before_open(_function: Any, args: Any, kwargs: Any) -> Any:
    return args[0] if args else kwargs.get("fp")


def _opened(given: Any, image: Any, exc: BaseException | None) -> None:
    if exc is not None or watch.is_input_under_way():
        return
    path = paths.path_of(given)
    if path is None and is_a(given, io.BytesIO):
        path = _file_of_bytes(given)
    if path is not None:
        _know(image, (path, versions.of_path(path)))


def _file_of_bytes(given: io.BytesIO) -> str | None:
    """The file that was read into memory last, if that is what the memory holds."""
    path = watch.last_read()
    content = given.getbuffer()
    if path is None or content.nbytes > BYTES_LIMIT:
        return None
    version = versions.of_path(path)
    if version is None or version[2] != content.nbytes:
        return None
    with watch.quiet():
        return path if Path(path).read_bytes() == content else None


def _before_new(_function: Any, args: Any, _kwargs: Any) -> File | None:
    return file_of(args[0])


def _made(file: File, image: Any, exc: BaseException | None) -> None:
    if exc is None:
        _know(image, file)


def _watch_pixels(image_class: Any) -> None:
    """numpy asks an image for its pixels by a property."""
    original = image_class.__dict__.get("__array_interface__")
    if not is_a(original, property) or original.fget is None:
        return
    fget: Callable[[Any], dict[str, Any]] = original.fget

    def pixels(image: Any) -> dict[str, Any]:
        interface = fget(image)
        guard.call(_given, image, interface)
        return interface

    pixels.__doc__ = fget.__doc__
    functions.replace_property(image_class, "__array_interface__", pixels)


def _given(image: Any, interface: dict[str, Any]) -> None:
    file = file_of(image)
    if file is None:
        return
    import numpy as np

    array = np.frombuffer(interface["data"], np.dtype(interface["typestr"])).reshape(
        interface["shape"]
    )
    origins.piece_was_read(array, file)
