"""Hyperparameters that are altered while a run trains: looked at where epochs begin and end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kerasprov_agent.describe import optimizers
from kerasprov_agent.describe.values import public_name
from kerasprov_agent.hooks import calls, frames, loops

SETS_THE_RATE = frozenset(("LearningRateScheduler", "ReduceLROnPlateau"))


class Watch:
    """What was last seen of a run's hyperparameters, and who has set the learning rate since."""

    def __init__(self, call: calls.Fit, callbacks: Iterable[Any]) -> None:
        own = call.optimizers[0].row if call.optimizers else {}
        self.rate: float | None = own.get("learning_rate")
        self.scheduled = self.rate is None
        self._setters: list[str | None] = []
        self._assigned: float | None = None
        self._call = call
        self._value: Any = None
        self._settled = False
        acting = [one for one in callbacks if _can_set(one)]
        self._at_begin = [_name(one) for one in acting if _acts(one.on_epoch_begin)]
        self._at_end = [_name(one) for one in acting if _acts(one.on_epoch_end)]
        self._others = [_name(one) for one in acting if not _is_of_keras(one)]
        if not _is_of_keras(type(call.model).train_step):
            self._at_end.append("")  # the model itself may set it just as well
        self._alone = not self._at_end and not acting and self._runs_by_itself()
        self._scale = optimizers.loss_scale(self._optimizer())
        self._settings = self._held_settings()

    def _optimizer(self) -> Any:
        return getattr(self._call.model, "optimizer", None)

    def _runs_by_itself(self) -> bool:
        """Whether no line of the program's is executed while the compiled steps go on.

        Then a rate can only change by the property's setter, which is seen: a fetch from
        TensorFlow less in each epoch.
        """
        arrays = (self._call.feed_facts or {}).get("samples") is not None
        eager = getattr(self._call.model, "run_eagerly", True)
        return arrays and not eager and not self.scheduled

    def rate_at_begin(self, epoch: int) -> float | None:
        """The learning rate in force during an epoch, after the callbacks' on_epoch_begin."""
        if not self._settled or self._at_begin:
            self._look(epoch, self._at_begin)
        return self.rate

    def rate_at_end(self, epoch: int) -> float | None:
        """The learning rate after an epoch and its callbacks; other settings are looked at too."""
        self._look(epoch, self._at_end)
        self._settled = True
        if self._scale is not None:
            scale = optimizers.loss_scale(self._optimizer())
            self._note(epoch, "loss_scale", self._scale, scale, "LossScaleOptimizer")
            self._scale = scale
        settings = self._held_settings()
        for name in settings.keys() | self._settings.keys():
            old, new = self._settings.get(name), settings.get(name)
            self._note(epoch, name, old, new, _only(self._others))
        self._settings = settings
        return self.rate

    def _look(self, epoch: int, acting: list[str]) -> None:
        """Fetch the rate; on JAX an array never changes, so the same one is not fetched again."""
        if self._settled and self._alone and not self._setters:
            return
        optimizer = self._optimizer()
        value = getattr(getattr(optimizer, "_learning_rate", None), "_value", None)
        if value is None or value is not self._value or self._call.recorder.backend != "jax":
            old, self._value = self.rate, value
            self.rate = optimizers.learning_rate(optimizer)
            if not self.scheduled and not _same(old, self.rate):
                self._note(epoch, "learning_rate", old, self.rate, self._setter(acting))
        self._setters.clear()

    def assigned(self, by: str | None) -> None:
        """The learning rate was set, by the property that Keras has for it."""
        self._setters.append(by)
        self._assigned = optimizers.learning_rate(self._optimizer())

    def _setter(self, acting: list[str]) -> str | None:
        """Who set the rate: those that were seen to, unless somebody did so after them."""
        if not self._setters:
            return _only(acting)
        names = dict.fromkeys(self._setters)
        seen = _same(self._assigned, self.rate) and None not in names
        return ", ".join(filter(None, names)) if seen else None

    def _held_settings(self) -> dict[str, Any]:
        """The plain attributes of the optimizer, where callbacks of the program may set them."""
        optimizer = self._optimizer() if self._others else None
        return {} if optimizer is None else optimizers.attributes(optimizer)

    def _note(self, epoch: int, name: str, old: Any, new: Any, by: str | None) -> None:
        if old != new:
            self._call.recorder.changed(self._call.run, epoch, name, old, new, by)


def assigned(_token: Any, optimizer: Any, _result: Any, _exc: BaseException | None) -> None:
    """`optimizer.learning_rate = …`: remember who did it; what it became is seen later."""
    for call in calls.fits():
        own = getattr(call.model, "optimizer", None)
        held = optimizer is own or optimizer is getattr(own, "inner_optimizer", None)
        if held and call.watch is not None:
            call.watch.assigned(frames.actor())
            return
    loops.assigned(optimizer)


def _same(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is new
    return optimizers.same_float32(old, new)


def _can_set(callback: Any) -> bool:
    return not _is_of_keras(callback) or type(callback).__name__ in SETS_THE_RATE


def _is_of_keras(found: Any) -> bool:
    """Whether Keras wrote a callback or method; what a LambdaCallback does, the program wrote."""
    cls = found if hasattr(found, "__code__") else type(found)
    package = str(cls.__module__).partition(".")[0]
    return package in ("keras", "tf_keras") and cls.__name__ != "LambdaCallback"


def _name(callback: Any) -> str:
    return public_name(type(callback))


def _acts(method: Any) -> bool:
    """Whether a callback has a method of its own; that of the base class does nothing."""
    return not str(getattr(method, "__qualname__", "")).startswith("Callback.")


def _only(acting: list[str]) -> str | None:
    """The class of the callback, if only one can have done it."""
    names = set(acting)
    return (names.pop() or None) if len(names) == 1 else None
