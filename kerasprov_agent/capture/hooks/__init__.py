"""What is wrapped in Keras and KerasTuner, once imported. Replaces no class and no argument."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import machine
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.hooks import (
    batches,
    calls,
    changes,
    downloads,
    epochs,
    evaluating,
    loops,
    optimizers,
    owners,
    packages,
    saving,
    searches,
    training,
    uses,
)
from kerasprov_agent.capture.patching import functions, laziness, wrapping
from kerasprov_agent.capture.patching.registry import patches
from kerasprov_agent.capture.session import session


class Target(NamedTuple):
    """A method and what observes it. Of `modules` the first that is loaded has it."""

    modules: tuple[str, ...]
    owner: str
    method: str
    before: Callable[..., Any] | None
    after: Callable[..., None] | None
    how: Literal["method", "plain", "setter"] = "method"


# Keras 3, then Keras 2 and tf_keras; `{}` is the package's name.
_MODEL = ("{}.src.models.model", "{}.src.engine.training")
_CALLBACKS = ("{}.src.callbacks.callback_list", "{}.src.callbacks")
_OPTIMIZER = ("{}.src.optimizers.base_optimizer",)
_OPTIMIZER_2 = ("{}.src.optimizers.optimizer",)
_OPTIMIZER_1 = ("{}.src.optimizers.legacy.optimizer_v2",)
_TRAINER = ("{}.src.trainers.trainer",)
_TRAINER_2 = ("{}.src.engine.training",)
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
    Target(_OPTIMIZER, "BaseOptimizer", "learning_rate", None, changes.assigned, "setter"),
    Target(_OPTIMIZER_2, "_BaseOptimizer", "learning_rate", None, changes.assigned, "setter"),
    Target(_OPTIMIZER, "BaseOptimizer", "build", None, loops.optimizer_built, "plain"),
    Target(_OPTIMIZER_2, "_BaseOptimizer", "build", None, loops.optimizer_built, "plain"),
    Target(_OPTIMIZER, "BaseOptimizer", "stateless_apply", None, loops.stateless_applied, "plain"),
    Target(_TRAINER, "Trainer", "__init__", None, owners.model_made, "plain"),
    Target(_TRAINER_2, "Model", "__init__", None, owners.model_made, "plain"),
    Target(_MODEL, "Model", "train_on_batch", batches.before, batches.after),
    Target(_MODEL, "Model", "test_on_batch", uses.before, uses.after),
    Target(_MODEL, "Model", "predict", uses.before, uses.after),
    Target(_MODEL, "Model", "predict_on_batch", uses.before, uses.after),
    Target(_MODEL, "Model", "save", saving.before_method, saving.after_method),
    Target(_MODEL, "Model", "save_weights", saving.before_method, saving.after_method),
    Target(_MODEL, "Model", "load_weights", saving.before_method, saving.after_method),
    Target(_MODEL, "Model", "export", saving.before_method, saving.after_method),
    Target(_FEED, "EpochIterator", "__init__", None, training.after_feed),
    Target(_FEED_2, "DataHandler", "__init__", None, training.after_feed),
)


class Function(NamedTuple):
    """A function of Keras' own and what observes it."""

    module: str
    name: str
    before: functions.Before


_SAVING_LIB = "{}.src.saving.saving_lib"
_HDF5 = ("{}.src.legacy.saving.legacy_h5_format", "{}.src.saving.legacy.hdf5_format")

FUNCTIONS = (
    Function(_SAVING_LIB, "save_model", saving.before_save),
    Function(_SAVING_LIB, "save_weights_only", saving.before_save),
    Function(_SAVING_LIB, "load_model", saving.before_load),
    Function(_SAVING_LIB, "load_weights_only", saving.before_save),
    *(Function(name, "save_model_to_hdf5", saving.before_save) for name in _HDF5),
    *(Function(name, "load_model_from_hdf5", saving.before_load) for name in _HDF5),
    Function("{}.src.saving.legacy.save", "load_model", saving.before_load),
)

_TUNER = ("{}.src.engine.base_tuner", "{}.engine.base_tuner")
TUNER_TARGETS = (
    Target(_TUNER, "BaseTuner", "search", searches.before_search, searches.after_search),
    Target(
        _TUNER,
        "BaseTuner",
        "_try_run_and_update_trial",
        searches.before_trial,
        searches.after_trial,
    ),
    Target(
        _TUNER, "BaseTuner", "on_trial_end", searches.before_trial_end, searches.after_trial_end
    ),
)


def install(package: Any) -> None:
    """Wrap what is named above in an imported package; each target by itself."""
    tuner = package.__name__ == "keras_tuner"
    facts: dict[str, Any] = {}
    if not tuner:
        facts = guard.attempt(machine.keras, package) or {}
        session.keras_imported(facts)
        session.watch_end()
        watch.ask_hooks(calls.activity)
    patches.on = True
    for target in TUNER_TARGETS if tuner else TARGETS:
        guard.call(_apply, target, package.__name__, facts)
    if not tuner:
        guard.call(downloads.install, package.__name__)
        guard.call(laziness.install, package.__name__)
    for module, name, before in () if tuner else FUNCTIONS:
        owner = sys.modules.get(module.format(package.__name__))
        if owner is not None:
            guard.call(functions.apply, owner, name, before, saving.after_function)


def remove() -> None:
    """Undo `install`."""
    laziness.remove()


def _apply(target: Target, package: str, facts: Mapping[str, Any]) -> None:
    owner = None
    for name in target.modules:
        module = sys.modules.get(name.format(package))
        owner = owner or getattr(module, target.owner, None)
    if owner is None or not hasattr(owner, target.method):
        guard.debug("%s has no %s.%s: not recorded", package, target.owner, target.method)
        return
    packages.remember(owner, facts)
    if target.how == "method":
        wrapping.apply(owner, target.method, wrapping.observe(target.before, target.after))
    elif target.after is not None:
        put = wrapping.apply_plain if target.how == "plain" else wrapping.apply_setter
        put(owner, target.method, target.after)
