"""How files, packages and values are named in the forms of others."""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from kerasprov_agent.read.origin import Known

JOULES_PER_KWH = 3_600_000


def clean(value: Any) -> str:
    """A value as a text that UTF-8 can hold; lists and objects as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def base_name(path: str) -> str:
    """The last part of a path."""
    return clean(PurePath(path).name or path)


def file_uri(path: str) -> str:
    """A path as a URI; also one whose bytes are no UTF-8."""
    return "file://" + quote(path.encode("utf-8", "surrogateescape"))


def purl(name: str, version: str) -> str:
    """A package of the Python index as a package URL."""
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return f"pkg:pypi/{quote(normal, safe='')}@{quote(version, safe='.-_~!')}"


def digest(known: Known) -> str | None:
    """The sha256 of a file, or of the list of a set's files; of one of these files its own."""
    return known.sha256 or (known.set_sha256 if known.directory is None else None)
