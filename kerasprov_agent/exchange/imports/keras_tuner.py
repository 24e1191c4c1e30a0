"""The folder of a KerasTuner search: its trials with their hyperparameters and scores."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from kerasprov_agent.exchange.imports.found import Search, Training, Trial, Unread

FORMAT = "KerasTuner"
ORACLE, TRIAL = "oracle.json", "trial.json"
STATUS = {"COMPLETED": "finished", "INVALID": "failed", "FAILED": "failed", "RUNNING": None,
          "IDLE": None, "STOPPED": "interrupted"}  # fmt: skip
"""A search that is over leaves no trial running: how such a one ended is not known."""
LEVELS = 2


def folders(path: str) -> list[str]:
    """The folders of searches in a folder, down to two levels."""
    folders_found = []
    for folder, below, files in os.walk(path):
        below.sort()
        is_search = ORACLE in files or any(
            os.path.isfile(os.path.join(folder, name, TRIAL)) for name in below
        )
        if is_search:
            folders_found.append(folder)
        if is_search or os.path.relpath(folder, path).count(os.sep) >= LEVELS - 1:
            below.clear()
    return folders_found


def read(path: str) -> Iterator[Training | Unread]:
    """The searches in a folder, and the trials that could not be read."""
    for folder in folders(path):
        yield from _search(os.path.realpath(folder))


def _search(folder: str) -> Iterator[Training | Unread]:
    oracle: dict[str, Any] = {}
    try:
        oracle = _read(os.path.join(folder, ORACLE))
    except FileNotFoundError:
        pass
    except (ValueError, OSError) as exc:
        yield Unread(FORMAT, os.path.join(folder, ORACLE), f"it is damaged: {exc}")
    trials, metrics = [], dict[str, str]()
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name, TRIAL)
        if not os.path.isfile(path):
            continue
        try:
            trial_state = _read(path)
            trials.append(_trial(name, trial_state))
            metrics |= {
                metric: observations.get("direction")
                for metric, observations in (
                    (trial_state.get("metrics") or {}).get("metrics") or {}
                ).items()
            }
        except (ValueError, OSError, AttributeError, TypeError) as exc:
            yield Unread(FORMAT, path, f"it is damaged: {exc}")
    if not trials:
        return
    beside = ", ".join(sorted(metrics))
    # The folder does not tell the objective; a search by one metric alone leaves no doubt.
    only = next(iter(metrics)) if len(metrics) == 1 else None
    yield Training(
        FORMAT,
        folder,
        folder,
        os.path.basename(folder),
        has_run=False,
        left_out=[f"values of trials by metric ({beside}): only their scores are taken"],
        search=Search(
            os.path.basename(folder),
            only,
            metrics[only] if only else None,
            trials,
            space=(oracle.get("hyperparameters") or {}).get("space"),
        ),
    )


def _read(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    return content


def _trial(folder: str, trial_state: dict[str, Any]) -> Trial:
    score, step = trial_state.get("score"), trial_state.get("best_step")
    return Trial(
        str(trial_state.get("trial_id", folder.removeprefix("trial_"))),
        STATUS.get(str(trial_state.get("status"))),
        score if isinstance(score, (int, float)) else None,
        dict((trial_state.get("hyperparameters") or {}).get("values") or {}),
        step if isinstance(step, int) else None,
        trial_state.get("message"),
    )
