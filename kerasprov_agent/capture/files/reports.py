"""Forked children tell their parent which files they open, by lines in a file.

The parent makes the file before it forks. The children append to it; the parent reads what is new.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.files.seen import Seen
from kerasprov_agent.capture.origins import Origin

NAMES = ("path", "written", "version", "by_input", "renamed_from", "origins", "at", "activity")


class Reading:
    """The parent's side: what its children have told."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._read = 0

    def expect(self) -> None:
        """Make the file; children write to it only if it exists."""
        if not os.path.exists(self.path):
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))

    def read(self) -> list[Seen]:
        """What children have told since the last time."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as stream:
            stream.seek(self._read)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        # A child may be killed in the midst of a line: that costs this line alone.
        reports = (guard.attempt(_seen, json.loads, line) for line in whole.splitlines())
        return [seen for seen in reports if seen is not None]

    def end(self) -> None:
        """Remove the file when the record ends; children that still run then write nothing."""
        if os.path.exists(self.path):
            os.unlink(self.path)


def tell(path: str, seen: Seen) -> None:
    """In a child: append what was seen; lines so short are appended whole."""
    line = json.dumps({name: getattr(seen, name) for name in NAMES}) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:  # the parent's record has ended
        return
    try:
        os.write(descriptor, line.encode("utf-8", "surrogatepass"))
    finally:
        os.close(descriptor)


def _seen(loads: Callable[[bytes], Any], line: bytes) -> Seen:
    report = loads(line)
    version = report["version"] and tuple(report["version"])
    origins = report["origins"] and [_origin(*origin) for origin in report["origins"]]
    return Seen(
        str(report["path"]),
        bool(report["written"]),
        version,
        by_input=report["by_input"],
        renamed_from=report["renamed_from"],
        origins=origins,
        at=report["at"],
        activity=report["activity"],
    )


def _origin(files: Any, confidence: str, entity_id: str | None) -> Origin:
    known = tuple((path, version and tuple(version)) for path, version in files)
    return Origin(known, confidence, entity_id)
