"""Which file a value of the program means: a path, or an open file."""

from __future__ import annotations

import os
from typing import Any

from kerasprov_agent.capture.files import versions
from kerasprov_agent.kinds import is_a


def path_of(value: Any) -> str | None:
    """The absolute path that a path or an open file stands for."""
    text = os.fspath(value) if is_a(value, (str, os.PathLike)) else getattr(value, "name", None)
    if not is_a(text, str) or "://" in text:
        return None
    return versions.absolute(os.path.expanduser(text))


def is_path(value: Any) -> bool:
    """Whether an input or output is a file."""
    return isinstance(value, (str, os.PathLike))
