"""Trainings in folders of TensorBoard: which event files belong together.

People use a folder again: each event file has its own beginning, steps that go back begin another
training, and files of training and validation are paired by time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from kerasprov_agent.exchange.imports import event_files
from kerasprov_agent.exchange.imports.event_files import Events
from kerasprov_agent.exchange.imports.found import Training, Unread, finish, run_values, utc
from kerasprov_agent.exchange.imports.points import Point, listed, sort_out

FORMAT = "TensorBoard"

MARK = "tfevents"
SUBSETS = {"train": "", "validation": "val_"}
"""Folders of Keras' callback, and what its metrics are called in the log of `fit`."""
OTHERS = {"val": "val_", "test": "test_", "eval": "test_", "metrics": ""}
"""Folders that people write beside these."""
OF_EPOCHS = "epoch_"
"""What tags of Keras' callback begin with where they are by epoch."""
SLACK = 60.0
"""Seconds that may lie between what two writers of one training wrote."""


def is_folder(path: str) -> bool:
    """Whether event files lie in a folder or below it."""
    return any(MARK in name for _, _, files in os.walk(path) for name in files)


def read(path: str) -> Iterator[Training | Unread]:
    """The trainings below a folder, or in one event file, and what could not be read."""
    groups: dict[str, list[tuple[str, str]]] = {}
    files = _files(path)
    folders = {os.path.dirname(os.path.realpath(file)) for file in files}
    for file in files:
        folder = os.path.dirname(os.path.realpath(file))
        parent, name = os.path.split(folder)
        subset = SUBSETS.get(name)
        if subset is None and (
            parent in folders
            or any(os.path.isdir(os.path.join(parent, child)) for child in SUBSETS)
        ):
            subset = OTHERS.get(name)
        place = folder if subset is None else parent
        groups.setdefault(place, []).append((subset or "", file))
    for folder, members in sorted(groups.items()):
        yield from _group(folder, members)


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
class _Segment:
    """A part of a file in which no step goes back: what one training wrote there."""

    subset: str
    events: Events
    place: int
    """Its number within the file."""
    scalars: list[tuple[str, Point]] = field(default_factory=list)

    @property
    def start(self) -> float:
        """Seconds since 1970 UTC of what was written first."""
        moments = [point.at for _, point in self.scalars if point.at is not None]
        return min(moments) if moments else self.events.first or 0.0

    @property
    def end(self) -> float:
        moments = [point.at for _, point in self.scalars if point.at is not None]
        return max(moments) if moments else self.events.ended or self.start

    @property
    def key(self) -> str:
        """What tells the training of which it is the main part from all others."""
        name = os.path.basename(self.events.path)
        return f"{name}\n{self.events.first}" + (f"\n{self.place}" if self.place else "")

    def steps(self) -> dict[str, tuple[int, int]]:
        """The first and the last step of each tag, with its subset."""
        ends: dict[str, tuple[int, int]] = {}
        for tag, point in self.scalars:
            first, last = ends.get(self.subset + tag, (point.step, point.step))
            ends[self.subset + tag] = min(first, point.step), max(last, point.step)
        return ends


@dataclass
class _Parts:
    """What the writers of one training wrote."""

    segments: list[_Segment] = field(default_factory=list)

    def follows(self, segment: _Segment) -> bool | None:
        """Whether a part goes on exactly where this ends; None: it would go back."""
        last: dict[str, int] = {}
        for own in self.segments:
            for tag, (_, step) in own.steps().items():
                last[tag] = max(step, last.get(tag, step))
        exact = False
        for tag, (first, _) in segment.steps().items():
            if tag in last:
                if first <= last[tag]:
                    return None
                exact = first == last[tag] + 1
        return exact

    def shares(self, segment: _Segment) -> bool:
        """Whether a part has tags that this has, too."""
        return any(segment.steps().keys() & own.steps().keys() for own in self.segments)

    def overlap(self, segment: _Segment) -> float:
        """Seconds in which both were written; negative: so many lie between them."""
        start = min(own.start for own in self.segments)
        end = max(own.end for own in self.segments)
        return min(end, segment.end) - max(start, segment.start)


def _segments(subset: str, events: Events) -> list[_Segment]:
    by_epoch = any(tag.startswith(OF_EPOCHS) for tag, _ in events.scalars)
    segments = [_Segment(subset, events, 0)]
    last: dict[str, int] = {}
    for tag, point in events.scalars:
        counts = tag.startswith(OF_EPOCHS) or not by_epoch
        if counts and point.step < last.get(tag, point.step):
            segments.append(_Segment(subset, events, len(segments)))
            last.clear()
        last[tag] = point.step
        segments[-1].scalars.append((tag, point))
    return segments


def _group(folder: str, members: list[tuple[str, str]]) -> Iterator[Training | Unread]:
    """The trainings of one folder."""
    segments: list[_Segment] = []
    for subset, file in members:
        events = event_files.load(file)
        if events.scalars or events.hyperparameters:
            segments += _segments(subset, events)
        else:
            reason = events.problem or "it has no scalars"
            yield Unread(FORMAT, os.path.realpath(file), reason)
    trainings = _joined(segments)
    keys = {_main(parts).key for parts in trainings}
    for place, parts in enumerate(trainings):
        former = _former_keys(parts, segments if place == 0 else [])
        yield _training(folder, parts, [key for key in former if key not in keys])


def _joined(segments: list[_Segment]) -> list[_Parts]:
    """Which parts are of one training: the order of files on the disk does not matter."""
    joined: list[_Parts] = []
    # What was written to validate, or tells settings, belongs to a training that is there already.
    for segment in sorted(
        segments, key=lambda part: (not part.scalars, bool(part.subset), part.start, part.key)
    ):
        parts = _parts_of(segment, segments, joined)
        if parts is None:
            joined.append(_Parts([segment]))
        else:
            parts.segments.append(segment)
    return sorted(joined, key=lambda parts: min(part.start for part in parts.segments))


def _parts_of(segment: _Segment, segments: list[_Segment], joined: list[_Parts]) -> _Parts | None:
    """The training that a part belongs to; None: another one begins with it."""
    if not segment.scalars:
        unsettled = [
            parts
            for parts in joined
            if not any(part.events.hyperparameters for part in parts.segments)
        ]
        return max(unsettled, key=lambda parts: parts.overlap(segment), default=None)
    fitting = [parts for parts in joined if parts.follows(segment) is not None]
    beside = [
        parts
        for parts in fitting
        if not parts.shares(segment)
        and (parts.overlap(segment) >= -SLACK or _is_only(segment, segments, joined))
    ]
    if beside:
        return max(beside, key=lambda parts: parts.overlap(segment))
    going_on = [parts for parts in fitting if parts.shares(segment)]
    exactly = [parts for parts in going_on if parts.follows(segment)]
    latest = [parts for parts in going_on if parts is joined[-1]]
    return next(iter(exactly[::-1] or latest), None)


def _is_only(segment: _Segment, segments: list[_Segment], joined: list[_Parts]) -> bool:
    """Whether a part of validation can belong to one training only, whatever the clocks say."""
    same = [other for other in segments if other.subset == segment.subset]
    return bool(segment.subset) and len(joined) == len(same) == 1


def _main(parts: _Parts) -> _Segment:
    """The part by which a training is known."""
    return min(
        parts.segments, key=lambda segment: (bool(segment.subset), segment.start, segment.key)
    )


def _training(folder: str, parts: _Parts, former_keys: list[str]) -> Training:
    main = _main(parts)
    segments = sorted(parts.segments, key=lambda item: (bool(item.subset), item.start, item.key))
    series: dict[str, list[Point]] = {}
    sure: dict[str, None] = {}
    hyperparameters: dict[str, object] = {}
    for segment in segments:
        hyperparameters |= segment.events.hyperparameters
        for tag, point in segment.scalars:
            name = segment.subset + tag.removeprefix(OF_EPOCHS)
            series.setdefault(name, []).append(point)
            if tag.startswith(OF_EPOCHS):
                sure[name] = None
    values = run_values(hyperparameters)
    result = sort_out(series, values.get("epochs_planned"), sure)
    repairs = result.repairs
    if result.epochs and not sure:
        repairs = ["steps are taken for epochs", *repairs]
    events_of = [segment.events for segment in segments]
    started = next((item.started for item in events_of if item.started is not None), None)
    if started is None:
        # Of the first training in a file the file's own beginning is known.
        started = main.events.first if main.place == 0 else main.start
    ended = next((item.ended for item in events_of if item.ended is not None), result.last_at)
    others = dict.fromkeys(tag for item in events_of for tag in item.others)
    if others:
        result.left_out.append(f"no scalars: {listed(list(others))}")
    problems = [
        f"{os.path.basename(item.path)}: {item.problem}"
        for item in events_of
        if item.problem is not None
    ]
    return finish(
        Training(
            FORMAT,
            folder,
            main.key,
            os.path.basename(folder),
            status=next((item.status for item in events_of if item.status is not None), None),
            started_at=utc(started) if started is not None else None,
            ended_at=utc(ended) if ended is not None else None,
            values=values,
            params=dict(hyperparameters),
            epochs=result.epochs,
            tests=result.tests,
            repairs=repairs,
            left_out=result.left_out + problems,
            former_keys=former_keys,
        )
    )


def _former_keys(parts: _Parts, all_segments: list[_Segment]) -> list[str]:
    """Validation by itself, and how a whole folder was known before trainings were told apart.

    all_segments: of the folder, for the first training in it.
    """
    keys = [segment.key for segment in parts.segments if segment.subset]
    for some in (parts.segments, all_segments):
        names = [os.path.basename(segment.events.path) for segment in some]
        moments = [segment.events.first for segment in some if segment.events.first is not None]
        if names and moments:
            keys.append(f"{min(names)}\n{min(moments)}")
    return list(dict.fromkeys(keys))
