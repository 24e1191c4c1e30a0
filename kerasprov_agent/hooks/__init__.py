"""What is wrapped in Keras. Applied once Keras is imported; never replaces a class or argument."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from kerasprov_agent import guard, process
from kerasprov_agent.describe import machine
from kerasprov_agent.hooks import epochs, evaluating, optimizers, training, wrapping


class Target(NamedTuple):
    """A method and what observes it. Of `modules` the first that is loaded has it."""

    modules: tuple[str, ...]
    owner: str
    method: str
    before: Callable[..., Any] | None
    after: Callable[..., None] | None


# Keras 3, then Keras 2 and tf_keras; `{}` is the package's name.
_MODEL = ("{}.src.models.model", "{}.src.engine.training")
_CALLBACKS = ("{}.src.callbacks.callback_list", "{}.src.callbacks")
_OPTIMIZER = ("{}.src.optimizers.base_optimizer",)
_OPTIMIZER_2 = ("{}.src.optimizers.optimizer",)
_OPTIMIZER_1 = ("{}.src.optimizers.legacy.optimizer_v2",)
_FEED = ("{}.src.trainers.epoch_iterator",)
_FEED_2 = ("{}.src.engine.data_adapter",)

TARGETS = (
    Target(_MODEL, "Model", "compile", training.before_compile, training.after_compile),
    Target(_MODEL, "Model", "fit", training.before_fit, training.after_fit),
    Target(_MODEL, "Model", "evaluate", evaluating.before_evaluate, evaluating.after_evaluate),
    Target(_CALLBACKS, "CallbackList", "on_train_begin", epochs.before_train, None),
    Target(_CALLBACKS, "CallbackList", "on_epoch_begin", epochs.before_epoch, epochs.after_begin),
    Target(_CALLBACKS, "CallbackList", "on_epoch_end", epochs.before_end, epochs.after_epoch),
    Target(_CALLBACKS, "CallbackList", "on_train_end", None, epochs.after_train),
    Target(_CALLBACKS, "CallbackList", "on_test_end", evaluating.before_test_end, None),
    Target(_OPTIMIZER, "BaseOptimizer", "__init__", optimizers.before, optimizers.after),
    Target(_OPTIMIZER_2, "_BaseOptimizer", "__init__", optimizers.before, optimizers.after),
    Target(_OPTIMIZER_1, "OptimizerV2", "__init__", optimizers.before, optimizers.after),
    Target(_FEED, "EpochIterator", "__init__", None, training.after_feed),
    Target(_FEED_2, "DataHandler", "__init__", None, training.after_feed),
)


def install(keras: Any) -> None:
    """Wrap what `TARGETS` names in an imported `keras` or `tf_keras`; each target by itself."""
    process.keras = guard.attempt(machine.keras, keras) or {}
    process.watch_forks()
    wrapping.switch(True)
    for target in TARGETS:
        guard.call(_apply, target, keras.__name__)


def remove() -> None:
    """Undo `install`."""
    wrapping.remove()


def _apply(target: Target, package: str) -> None:
    owner = None
    for name in target.modules:
        module = sys.modules.get(name.format(package))
        owner = owner or getattr(module, target.owner, None)
    if owner is None or not hasattr(owner, target.method):
        guard.debug("%s has no %s.%s: not recorded", package, target.owner, target.method)
        return
    wrapping.apply(owner, target.method, wrapping.observe(target.before, target.after))
