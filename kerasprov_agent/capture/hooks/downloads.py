"""`keras.utils.get_file` and `keras.datasets.*.load_data`: files of Keras' cache, and their arrays.

A file that is in the cache already is not opened by `get_file`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from kerasprov_agent.capture import origins
from kerasprov_agent.capture.files.watching import Collecting, watch
from kerasprov_agent.capture.patching import functions
from kerasprov_agent.kinds import is_a


def install(package: str) -> None:
    """Wrap the functions under every name that they have in Keras."""
    prefix = f"{package}."
    for name, module in sys.modules.copy().items():
        if not name.startswith(prefix) or module is None:
            continue
        names = vars(module)
        if callable(names.get("get_file")):
            functions.apply(module, "get_file", _before_file, _got)
        if ".datasets." in name and callable(names.get("load_data")):
            functions.apply(module, "load_data", _before_data, _loaded)


def _before_file(_function: Any, _args: Any, _kwargs: Any) -> bool:
    return True


def _got(_token: bool, path: Any, exc: BaseException | None) -> None:
    if exc is None and is_a(path, (str, os.PathLike)):
        watch.note(os.fspath(path))


def _before_data(_function: Any, _args: Any, _kwargs: Any) -> Collecting:
    return watch.collecting().__enter__()


def _loaded(collected: Collecting, result: Any, exc: BaseException | None) -> None:
    collected.__exit__()
    if exc is None and collected.paths:
        origins.was_read(result, origins.files_of(*collected.paths))
