"""Searches of KerasTuner: settings, space, trials.

Looks at what tuner and oracle hold, and calls no method: `project_dir` makes a directory, and a
worker's oracle asks its chief over the network.
"""

from __future__ import annotations

import os
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe.values import (
    is_scalar,
    plain,
    plain_dict,
    public_name,
    to_json,
)

SETTINGS = (
    "max_trials",
    "executions_per_trial",
    "seed",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
    "max_epochs",
    "factor",
    "hyperband_iterations",
    "num_initial_points",
    "alpha",
    "beta",
    "tune_new_entries",
    "allow_new_entries",
)
"""What tuners and oracles keep of their constructors' arguments."""


def search(tuner: Any) -> dict[str, Any]:
    """The columns of a search that are known when it begins."""
    oracle = _of_oracle(tuner)
    facts = {
        name: owner[name]
        for owner in (vars(tuner), oracle)
        for name in SETTINGS
        if owner.get(name) is not None and is_scalar(owner[name])
    }
    objective = oracle.get("objective")
    return {
        "class_name": public_name(type(tuner)),
        "name": tuner.project_name,
        "directory": os.path.join(str(tuner.directory), tuner.project_name),
        "objective": getattr(objective, "name", None),
        "direction": getattr(objective, "direction", None),
        "settings": to_json(plain_dict(facts)),
        "space": space(tuner),
    }


def space(tuner: Any) -> str | None:
    """The hyperparameters that are searched, with their ranges, as JSON."""
    searched = _of_oracle(tuner).get("hyperparameters")
    described = (
        guard.attempt(lambda: searched.get_config()["space"]) if searched is not None else None
    )
    return None if described is None else to_json(plain(described))


def seen_by_oracle(tuner: Any, trial: Any) -> Any:
    """The oracle's own copy of a trial, which has the score; the trial where that is not here."""
    return (_of_oracle(tuner).get("trials") or {}).get(trial.trial_id, trial)


def _of_oracle(tuner: Any) -> dict[str, Any]:
    return getattr(getattr(tuner, "oracle", None), "__dict__", {})


def values(hyperparameters: Any) -> dict[str, Any]:
    """The values of a trial's hyperparameters."""
    return plain_dict(dict(getattr(hyperparameters, "values", None) or {}))


def hyperparameters(trial: Any) -> str | None:
    """The same as JSON."""
    chosen = values(getattr(trial, "hyperparameters", None))
    return to_json(chosen) if chosen else None


def completed(trial: Any) -> bool:
    """Whether it came to its end without a fault."""
    return str(getattr(trial, "status", None)).upper() == "COMPLETED"


def trial(seen: Any) -> dict[str, Any]:
    """The columns of a trial that are known when it is over."""
    return {
        "hyperparameters": hyperparameters(seen),
        "message": plain(getattr(seen, "message", None)),
        "score": getattr(seen, "score", None),
        "best_step": getattr(seen, "best_step", None) if completed(seen) else None,
    }
