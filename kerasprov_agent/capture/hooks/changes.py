"""Hyperparameters that are altered while a run trains: looked at where epochs begin and end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kerasprov_agent.capture.describe import numbers, optimizers
from kerasprov_agent.capture.describe.values import NAMED, public_name
from kerasprov_agent.capture.hooks import calls, frames, loops
from kerasprov_agent.capture.hooks import optimizers as constructed
from kerasprov_agent.kinds import is_a

SETS_THE_RATE = frozenset(("LearningRateScheduler", "ReduceLROnPlateau"))
BY_PROPERTY = frozenset(
    ("keras.src.callbacks.learning_rate_scheduler", "keras.src.callbacks.reduce_lr_on_plateau")
)
"""Keras 3's modules of these; those of Keras 2 assign to the variable itself."""


class Setting:
    """The settings of one of a run's optimizers, as they were last seen."""

    def __init__(
        self, held_optimizer: constructed.Held, prefix: str, with_attributes: bool
    ) -> None:
        self._held, self._prefix = held_optimizer, prefix
        optimizer = held_optimizer.optimizer()
        self.rate: float | None = held_optimizer.row.get("learning_rate")
        self.rate_at_begin = self.rate
        self.scheduled = optimizers.is_scheduled(optimizer)
        self.trains: bool | None = None
        self.setters: list[str | None] = []
        self._assigned: float | None = None
        self._value: Any = None
        self._scale = optimizers.loss_scale(optimizer)
        self._with_attributes = with_attributes
        self._attributes = self._held_attributes()

    def is_of(self, optimizer: Any) -> bool:
        """Whether these settings belong to an optimizer or to its loss-scaling wrapper."""
        own = self._held.optimizer()
        return own is optimizer or optimizers.inner(own) is optimizer

    def look_whether_it_trains(self, only: bool | None) -> None:
        """Whether this optimizer has trained so far: `only` says it, else its counter does.

        None, for what can't be told, stays open; once it has trained it is not asked again.
        """
        if only is not None or self.trains:
            self.trains = only if only is not None else True
            return
        optimizer = self._held.optimizer()
        if optimizer is None or getattr(optimizer, "built", True) is False:
            self.trains = False
            return
        count = optimizers.count(self._held.counter)
        before = self._held.before
        self.trains = None if count is None or before is None else count > before

    def look_at_rate(self, unchanged_unless_set: bool) -> tuple[float | None, float | None] | None:
        """Fetch the rate, if it can have changed; returns the old and the new one if it has."""
        if unchanged_unless_set and not self.setters and self.rate is not None:
            return None
        optimizer = self._held.optimizer()
        value = getattr(
            getattr(optimizers.inner(optimizer), "_learning_rate", None), "_value", None
        )
        # An array of JAX never changes, so the same one is not fetched again.
        if value is not None and value is self._value and hasattr(value, "is_deleted"):
            return None
        old, self._value = self.rate, value
        if unchanged_unless_set and self.setters and numbers.library(value) not in numbers.JAX:
            self.rate = self._assigned  # JAX may have put its own state back over it
        else:
            self.rate = optimizers.learning_rate(optimizer)
        differs = old is not None and self.rate is not None and not _same(old, self.rate)
        return (old, self.rate) if differs and not self.scheduled else None

    def assigned(self, rate: float | None, by: str | None) -> None:
        """The learning rate was set, by the property that Keras has for it."""
        self.setters.append(by)
        self._assigned = rate

    def setter(self, acting: list[str]) -> str | None:
        """Who set the rate: the last callback or code that was seen to set it."""
        if not self.setters:
            return _only(acting)
        names = dict.fromkeys(self.setters)
        seen = _same(self._assigned, self.rate) and None not in names
        return ", ".join(filter(None, names)) if seen else None

    def name(self, setting: str) -> str:
        """A setting's name in the record: of several optimizers, with the way to this one."""
        return f"{self._prefix}{setting}"

    def others(self, actors: list[str]) -> Iterator[tuple[str, Any, Any, str | None]]:
        """What else has changed: names, old and new values, and who did it."""
        if self._scale is not None:
            old, self._scale = self._scale, optimizers.loss_scale(self._held.optimizer())
            if self._scale is None:  # it can't be fetched unseen just now
                self._scale = old
            yield "loss_scale", old, self._scale, "LossScaleOptimizer"
        old_ones, self._attributes = self._attributes, self._held_attributes()
        for name in self._attributes.keys() | old_ones.keys():
            yield name, old_ones.get(name), self._attributes.get(name), _only(actors)

    def _held_attributes(self) -> dict[str, Any]:
        """The plain attributes of the optimizer, where callbacks of the program may set them."""
        optimizer = self._held.optimizer() if self._with_attributes else None
        return {} if optimizer is None else optimizers.attributes(optimizer)


class Watch:
    """What was last seen of a run's hyperparameters, and who can have changed them."""

    def __init__(self, call: calls.Fit, callbacks: Iterable[Any]) -> None:
        self._call = call
        self._settled = False
        acting = [callback for callback in callbacks if _can_set(callback)]
        self._at_begin = [_name(callback) for callback in acting if _acts(callback.on_epoch_begin)]
        self._at_end = [_name(callback) for callback in acting if _acts(callback.on_epoch_end)]
        self._others = [_name(callback) for callback in acting if not _is_of_keras(callback)]
        own_step = not _is_of_keras(type(call.model).train_step)
        self._only_compiled_one_trains = not own_step
        if own_step:
            self._at_end.append("")  # the model itself may set it just as well
        several = len(call.optimizers) > 1
        self._settings = [
            Setting(
                optimizer, f"{optimizer.row['attribute']}." if several else "", bool(self._others)
            )
            for optimizer in call.optimizers
        ]
        self._alone = (
            not own_step and all(map(_sets_by_property, acting)) and self._runs_by_itself()
        )

    def _runs_by_itself(self) -> bool:
        """Whether no line of the program's is executed while the compiled steps go on.

        Then a rate can only change by the property's setter, which is seen: there is nothing to
        fetch. An optimizer of the program's own may change its rate in the compiled step.
        """
        arrays = (self._call.feed_facts or {}).get("samples") is not None
        eager = getattr(self._call.model, "run_eagerly", True)
        own = all(_is_of_keras(optimizer.optimizer()) for optimizer in self._call.optimizers)
        scheduled = any(setting.scheduled for setting in self._settings)
        return arrays and own and not eager and not scheduled

    def look_at_begin(self, epoch: int) -> None:
        """Look at the learning rates in force during an epoch, after the callbacks' begin of it."""
        if not self._settled or self._at_begin:
            self._look_at_rates(epoch, self._at_begin)
        for setting in self._settings:
            setting.rate_at_begin = setting.rate

    def rates(self, epoch: int) -> tuple[float | None, float | None]:
        """The learning rate during an epoch, and after it and its callbacks.

        That of the optimizers that train; None where they have several. Whatever else has changed
        is looked at, too.
        """
        if (
            getattr(self._call.model, "_jax_state", None) is None
        ):  # else counters are not up to date
            for setting in self._settings:
                setting.look_whether_it_trains(self._is_the_only_one(setting))
        self._look_at_rates(epoch, self._at_end)
        self._settled = True
        for setting in self._settings:
            for name, old, new, by in setting.others(self._others):
                if old != new:
                    self._changed(epoch, setting.name(name), old, new, by)
        training = [setting for setting in self._settings if setting.trains is not False]
        return _common(setting.rate_at_begin for setting in training), _common(
            setting.rate for setting in training
        )

    def _is_the_only_one(self, setting: Setting) -> bool | None:
        """Whether Keras' own step trains with it; None where the step is the program's."""
        if not self._only_compiled_one_trains:
            return None
        return setting.is_of(getattr(self._call.model, "optimizer", None))

    def _look_at_rates(self, epoch: int, acting: list[str]) -> None:
        for setting in self._settings:
            if self._only_compiled_one_trains and setting.trains is False and not setting.setters:
                continue
            change = setting.look_at_rate(self._alone)
            if change is not None:
                self._changed(epoch, setting.name("learning_rate"), *change, setting.setter(acting))
            setting.setters.clear()

    def _changed(self, epoch: int, name: str, old: Any, new: Any, by: str | None) -> None:
        self._call.recorder.trainings.changed(self._call.run, epoch, name, old, new, by)

    def assigned(self, optimizer: Any, rate: float | None) -> bool:
        """A learning rate was set; returns whether it is one of this run's optimizers'."""
        for setting in self._settings:
            if setting.is_of(optimizer):
                setting.assigned(rate, frames.actor())
                return True
        return False


def assigned(given: Any, optimizer: Any, _result: Any, _exc: BaseException | None) -> None:
    """`optimizer.learning_rate = …`: remember who did it, and what was given."""
    rate = optimizers.assigned_rate(given[0]) if given else None
    constructed.remember_rate(optimizer, rate)
    for call in calls.fits():
        if call.watch is not None and call.watch.assigned(optimizer, rate):
            return
    loops.assigned(optimizer, rate)


def _common(rates: Iterable[float | None]) -> float | None:
    """The common learning rate; None if rates differ or one is unknown."""
    distinct = set(rates)
    return distinct.pop() if len(distinct) == 1 else None


def _same(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is new
    return optimizers.same_float32(old, new)


def _can_set(callback: Any) -> bool:
    return not _is_of_keras(callback) or type(callback).__name__ in SETS_THE_RATE


def _sets_by_property(callback: Any) -> bool:
    return type(callback).__module__ in BY_PROPERTY


def _is_of_keras(instance: Any) -> bool:
    """Whether Keras wrote a callback or method; what a LambdaCallback does, the program wrote."""
    cls = instance if is_a(instance, NAMED) else type(instance)
    package = str(cls.__module__).partition(".")[0]
    return package in ("keras", "tf_keras") and cls.__name__ != "LambdaCallback"


def _name(callback: Any) -> str:
    return public_name(type(callback))


def _acts(method: Any) -> bool:
    """Whether a callback has a method of its own; that of the base class does nothing."""
    return not str(getattr(method, "__qualname__", "")).startswith("Callback.")


def _only(acting: list[str]) -> str | None:
    """The class of the only callback that can have made a change; None if several can."""
    names = set(acting)
    return (names.pop() or None) if len(names) == 1 else None
