"""Trainings in TensorBoard's event files: scalars by epoch, and the HParams plugin's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.imports.found import Epoch, Training, run_values, utc, whole

FORMAT = "TensorBoard"

MARK = "tfevents"
SUBSETS = {"train": "", "validation": "val_"}
"""Folders of Keras' callback, and what its metrics are called in the log of `fit`."""
STATUS = {1: "finished", 2: "failed"}
"""Of the HParams plugin."""


def is_folder(path: str) -> bool:
    """Whether event files lie in a folder or below it."""
    return any(MARK in name for _, _, files in os.walk(path) for name in files)


def read(path: str) -> Iterator[Training]:
    """The trainings below a folder, or in one event file."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for file in _files(path):
        folder = os.path.dirname(os.path.realpath(file))
        name = os.path.basename(folder)
        if name in SUBSETS and os.path.isdir(path):
            groups.setdefault(os.path.dirname(folder), []).append((SUBSETS[name], file))
        else:
            groups.setdefault(folder, []).append(("", file))
    for folder, files in sorted(groups.items()):
        found = _training(folder, files)
        if found:
            yield found


def _files(path: str) -> list[str]:
    if os.path.isfile(path):
        return [path]
    return sorted(
        os.path.join(folder, name)
        for folder, _, files in os.walk(path)
        for name in files
        if MARK in name
    )


@dataclass
class _Events:
    """What the event files of one training tell."""

    scalars: list[tuple[str, str, int, float]] = field(default_factory=list)  # subset, tag, ...
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    status: str | None = None
    started: float | None = None
    ended: float | None = None
    first: float | None = None
    names: list[str] = field(default_factory=list)


def _training(folder: str, files: list[tuple[str, str]]) -> Training | None:
    events = _Events()
    for subset, file in files:
        _load(file, subset, events)
    if not events.scalars and not events.hyperparameters:
        return None
    repairs: list[str] = []
    started = events.started if events.started is not None else events.first
    return Training(
        FORMAT,
        folder,
        f"{min(events.names)}\n{events.first}",
        os.path.basename(folder),
        status=events.status,
        started_at=utc(started) if started is not None else None,
        ended_at=utc(events.ended) if events.ended is not None else None,
        values=run_values(events.hyperparameters),
        params=events.hyperparameters,
        epochs=_epochs(events, repairs),
        repairs=repairs,
    )


def _epochs(events: _Events, repairs: list[str]) -> list[Epoch]:
    tags = dict.fromkeys(tag for _, tag, _, _ in events.scalars)
    has_epochs = any(tag.startswith("epoch_") for tag in tags)
    if tags and not has_epochs:
        repairs.append("steps are taken for epochs")
    left_out = [tag for tag in tags if has_epochs and not tag.startswith("epoch_")]
    if left_out:
        repairs.append(f"not by epoch, and left out: {', '.join(left_out)}")
    found: dict[int, dict[str, Any]] = {}
    for subset, tag, step, value in events.scalars:
        if tag not in left_out:
            found.setdefault(step, {})[subset + tag.removeprefix("epoch_")] = value
    return [Epoch(metrics, step) for step, metrics in sorted(found.items())]


def _load(path: str, subset: str, events: _Events) -> None:
    """Add what a file tells; of one that breaks off, what comes before that."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.plugins.hparams import metadata
        from tensorboard.util import tensor_util
    except ImportError as exc:
        raise KerasProvError(
            "event files need TensorBoard to be read: pip install tensorboard"
        ) from exc
    events.names.append(os.path.basename(path))
    kinds: dict[str, str] = {}
    for event in EventFileLoader(path).Load():
        if events.first is None or event.wall_time < events.first:
            events.first = event.wall_time
        for value in event.summary.value:
            plugin = value.metadata.plugin_data
            kind = kinds.setdefault(value.tag, plugin.plugin_name)
            if kind == "scalars":
                number = float(tensor_util.make_ndarray(value.tensor).item())
                events.scalars.append((subset, value.tag, event.step, number))
            elif value.tag == metadata.SESSION_START_INFO_TAG:
                told = metadata.parse_session_start_info_plugin_data(plugin.content)
                events.started = told.start_time_secs or None
                events.hyperparameters |= {
                    name: _plain(held) for name, held in sorted(told.hparams.items())
                }
            elif value.tag == metadata.SESSION_END_INFO_TAG:
                told = metadata.parse_session_end_info_plugin_data(plugin.content)
                events.status = STATUS.get(told.status)
                events.ended = told.end_time_secs or None


def _plain(value: Any) -> Any:
    """A value of a protocol buffer as Python has it."""
    kind = value.WhichOneof("kind")
    found = getattr(value, kind) if kind else None
    return whole(found) if isinstance(found, float) else found
