"""What Keras 3 takes where a program says nothing: so a card can tell settings that were chosen."""

from __future__ import annotations

from typing import Any

FIT: dict[str, Any] = {
    "batch_size": None, "class_weight": None, "epochs": 1, "initial_epoch": 0,
    "sample_weight": None, "shuffle": 1, "steps_per_epoch": None, "validation_batch_size": None,
    "validation_freq": 1, "validation_split": 0.0, "validation_steps": None, "verbose": "auto",
}  # fmt: skip
OPTIMIZER: dict[str, Any] = {
    "clipnorm": None, "clipvalue": None, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
    "global_clipnorm": None, "gradient_accumulation_steps": None, "loss_scale_factor": None,
    "use_ema": False, "weight_decay": None,
}  # fmt: skip
"""Of every optimizer."""
_ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adam": {**_ADAM, "amsgrad": False},
    "AdamW": {**_ADAM, "amsgrad": False, "weight_decay": 0.004},
    "Adamax": _ADAM,
    "Nadam": _ADAM,
    "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "RMSprop": {
        "learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-07, "centered": False,
    },
    "Adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-07},
    "Adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-07},
    "Lion": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99},
}  # fmt: skip
"""By class; of another one nothing is known, so all of its settings are told."""


def is_default(known: dict[str, Any], name: str, value: Any) -> bool:
    """Whether a setting is what Keras takes by itself, as far as 32 bits tell."""
    if name not in known:
        return False
    default = known[name]
    if isinstance(default, float) and isinstance(value, (int, float)):
        return abs(value - default) <= 1e-6 * max(abs(default), 1e-6)
    return bool(value == default)
