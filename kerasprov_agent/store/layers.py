"""What follows from the layers of a model: columns of `architecture`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def hidden_activation(layers: list[dict[str, Any]]) -> str | None:
    """The activation that all hidden layers share; None when they differ or have none.

    The last layer that has an activation is the output; `linear` is none. Frozen layers don't
    count: what they have was chosen for an earlier training.
    """
    activations = [layer["activation"] for layer in _chosen(layers) if layer["activation"]]
    hidden = {name for name in activations[:-1] if name != "linear"}
    return hidden.pop() if len(hidden) == 1 else None


def dropout_rate(layers: list[dict[str, Any]]) -> float | None:
    """The rate that all dropout layers share that are not frozen; None: they differ, or none is."""
    rates = {layer["dropout_rate"] for layer in _chosen(layers) if layer["dropout_rate"]}
    return rates.pop() if len(rates) == 1 else None


def _chosen(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers that are not frozen; a frozen model's own are not, even if they do not say so."""

    def is_frozen(layer: Mapping[str, Any]) -> bool:
        return layer.get("trainable") is False  # what was imported does not tell

    within = tuple(f"{layer['name']}/" for layer in layers if is_frozen(layer))
    return [
        layer for layer in layers if not is_frozen(layer) and not layer["name"].startswith(within)
    ]
