"""Rows that several of the recorder's entries have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasprov_agent import redaction
from kerasprov_agent.store.operations import Operation, insert, update
from kerasprov_agent.store.text import as_json


def used(activity_id: str, entity_id: str, role: str, at: str | None) -> Operation:
    """An activity used an entity."""
    return insert(
        "used", {"activity_id": activity_id, "entity_id": entity_id, "role": role, "at": at}
    )


def derived(
    entity_id: str, source_id: str, activity_id: str | None, confidence: str | None = None
) -> Operation:
    """An entity came of another; `confidence` tells how that is known, if not by what was done."""
    row = {"entity_id": entity_id, "source_id": source_id, "activity_id": activity_id}
    return insert("derived", {**row, "confidence": confidence} if confidence else row)


def params(run_id: str, source: str, values: Mapping[str, Any]) -> list[Operation]:
    """The arguments or settings of a run that came from one place."""
    row = {"run_id": run_id, "source": source}
    return [
        insert("param", {**row, "name": name, "value": redaction.value(name, value)})
        for name, value in values.items()
    ]


def arrays(entity_id: str, described: list[dict[str, Any]]) -> list[Operation]:
    """The arrays of a data set."""
    return [
        insert(
            "array",
            {"entity_id": entity_id, "position": i, **array, "shape": as_json(array["shape"])},
        )
        for i, array in enumerate(described)
    ]


def optimizer(run_id: str, position: int, facts: Mapping[str, Any]) -> Operation:
    """An optimizer of a run."""
    row = {"run_id": run_id, "position": position, **facts, "config": as_json(facts["config"])}
    return insert("optimizer", row)


def optimizers_after(run_id: str, rows_given: Sequence[Mapping[str, Any]]) -> list[Operation]:
    """What is known of a run's optimizers when it is over."""
    return [
        update("optimizer", dict(row), {"run_id": run_id, "position": position})
        for position, row in enumerate(rows_given)
    ]


def callbacks(run_id: str, callbacks_given: Sequence[Mapping[str, Any]]) -> list[Operation]:
    """The callbacks of a run, in their order."""
    return [
        insert(
            "callback",
            {
                "run_id": run_id,
                "position": i,
                "class_name": callback["class_name"],
                "settings": as_json(callback["settings"]),
            },
        )
        for i, callback in enumerate(callbacks_given)
    ]
