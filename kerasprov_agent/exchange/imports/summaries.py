"""The summary that W&B keeps of a run, `wandb-summary.json`: what its metrics came to."""

from __future__ import annotations

import os
from typing import Any

from kerasprov_agent.exchange.imports.csv_logger import label_of
from kerasprov_agent.exchange.imports.found import Test, Training, utc

FORMAT = "W&B summary"
NAME = "wandb-summary.json"
COUNTERS = frozenset(("epoch", "_step", "_runtime"))
MOMENT = "_timestamp"


def is_one(path: str, document: Any) -> bool:
    """Whether a document is such a summary."""
    is_object = isinstance(document, dict)
    return is_object and (os.path.basename(path) == NAME or "_wandb" in document)


def read(path: str, document: dict[str, Any]) -> Training:
    """The run of a summary: its last values as an evaluation, which epochs it had is not told."""
    metrics = {
        name: value
        for name, value in document.items()
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and not name.startswith("_")
        and name not in COUNTERS
    }
    moment = document.get(MOMENT)
    at = utc(float(moment)) if isinstance(moment, (int, float)) else None
    left_out = [
        f"{name}: {'a counter' if name in COUNTERS else 'no number'}"
        for name in document
        if name not in metrics and name != MOMENT
    ]
    # The folder is `run-20240101_120000-abc123/files`.
    folder = os.path.dirname(os.path.realpath(path))
    folder = os.path.dirname(folder) if os.path.basename(folder) == "files" else folder
    name = os.path.basename(folder) if os.path.basename(path) == NAME else label_of(path)
    return Training(
        FORMAT,
        os.path.realpath(path),
        os.path.realpath(path),
        name,
        ended_at=at,
        tests=[Test(metrics, at=at)] if metrics else [],
        left_out=left_out,
    )
