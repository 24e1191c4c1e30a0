"""TensorBoard's event files: what one of them holds, read without TensorFlow."""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.exchange.imports.found import whole
from kerasprov_agent.exchange.imports.points import Point

GZIP = b"\x1f\x8b"
HEADER, FOOTER = 12, 4
"""Bytes before a record (its length, a checksum) and after it (a checksum)."""
STATUS = {1: "finished", 2: "failed"}
"""Of the HParams plugin."""


@dataclass
class Events:
    """What an event file tells."""

    path: str
    scalars: list[tuple[str, Point]] = field(default_factory=list)
    """Tags and their points, in the order in which they were written."""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    status: str | None = None
    started: float | None = None
    ended: float | None = None
    first: float | None = None
    """Seconds since 1970 UTC of its first event."""
    others: dict[str, None] = field(default_factory=dict)
    """Tags of what is no scalar: pictures, histograms, graphs, texts."""
    problem: str | None = None
    """Why not all of it could be read."""


def load(path: str) -> Events:
    """Read a file; of one that breaks off, what comes before that. Raises `KerasProvError`."""
    events = Events(path)
    with open(path, "rb") as file:
        head = file.read(2)
    if not head:
        events.problem = "it is empty"
        return events
    if head == GZIP:
        events.problem = "it is compressed; unpack it with gunzip"
        return events
    records, is_whole = _records(path)
    read = _read(path, events)
    if not is_whole or read < records:
        events.problem = f"it breaks off or is damaged after {read} events"
    return events


def _records(path: str) -> tuple[int, bool]:
    """How many records a file has by their lengths, and whether the last one is whole."""
    size, place, count = os.path.getsize(path), 0, 0
    with open(path, "rb") as file:
        while place + HEADER <= size:
            file.seek(place)
            (length,) = struct.unpack("<Q", file.read(8))
            place += HEADER + length + FOOTER
            if place > size:
                return count, False
            count += 1
    return count, place == size


def _read(path: str, events: Events) -> int:
    """Add what a file tells; returns how many events it had."""
    _without_tensorflow()
    try:
        from google.protobuf.message import Error as NoMessage
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.compat.tensorflow_stub.errors import OpError
        from tensorboard.plugins.hparams import metadata
        from tensorboard.util import tensor_util
    except ImportError as exc:
        raise KerasProvError(
            "event files need TensorBoard to be read: pip install 'kerasprov_agent[import]'"
        ) from exc
    # What the bytes of a damaged file lead to.
    damages = (NoMessage, OpError, ValueError, TypeError, LookupError, OSError, struct.error)
    kinds: dict[str, str] = {}
    count = 0
    try:
        for event in EventFileLoader(path).Load():
            count += 1
            if events.first is None or event.wall_time < events.first:
                events.first = event.wall_time
            for value in event.summary.value:
                plugin = value.metadata.plugin_data
                kind = kinds.setdefault(value.tag, plugin.plugin_name)
                if kind == "scalars":
                    number = float(tensor_util.make_ndarray(value.tensor).item())
                    events.scalars.append((value.tag, Point(event.step, event.wall_time, number)))
                elif value.tag == metadata.SESSION_START_INFO_TAG:
                    info = metadata.parse_session_start_info_plugin_data(plugin.content)
                    events.started = info.start_time_secs or None
                    events.hyperparameters |= {
                        name: _plain(setting) for name, setting in sorted(info.hparams.items())
                    }
                elif value.tag == metadata.SESSION_END_INFO_TAG:
                    info = metadata.parse_session_end_info_plugin_data(plugin.content)
                    events.status = STATUS.get(info.status)
                    events.ended = info.end_time_secs or None
                elif kind != metadata.PLUGIN_NAME:
                    events.others[value.tag] = None
    except damages:
        return count
    return count


def _without_tensorflow() -> None:
    """TensorBoard reads files itself where it finds this module, by which it leaves TensorFlow out.

    Loading TensorFlow takes ten seconds and 800 MB.
    """
    if "tensorflow" not in sys.modules and "tensorboard.compat.notf" not in sys.modules:
        sys.modules["tensorboard.compat.notf"] = ModuleType("tensorboard.compat.notf")


def _plain(value: Any) -> Any:
    """A value of a protocol buffer as Python has it."""
    kind = value.WhichOneof("kind")
    value_of = getattr(value, kind) if kind else None
    return whole(value_of) if isinstance(value_of, float) else value_of
