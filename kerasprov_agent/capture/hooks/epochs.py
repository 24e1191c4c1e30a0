"""`CallbackList`: where a training and its epochs begin and end.

Its methods run before and after all callbacks of the user, whose list is not touched. Nothing is
done per batch but keeping its number.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from kerasprov_agent import clock, guard
from kerasprov_agent.capture.describe import machine, seeds
from kerasprov_agent.capture.describe.callbacks import callbacks as describe_callbacks
from kerasprov_agent.capture.describe.metrics import metric
from kerasprov_agent.capture.describe.values import integer
from kerasprov_agent.capture.device import meters
from kerasprov_agent.capture.hooks import calls, changes, events, training
from kerasprov_agent.capture.patching import wrapping
from kerasprov_agent.tracebacks import drop_frames


class Epoch:
    """The clock readings of an epoch in progress (`perf_counter`, seconds)."""

    __slots__ = (
        "begun", "ended", "first_step", "last_step", "lengths", "logs", "number", "started",
        "started_at", "synchronized", "trained",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.started_at = clock.now()
        self.started = perf_counter()
        self.begun = self.started
        self.first_step: float | None = None
        self.last_step: int | None = None
        self.trained: float | None = None
        self.ended: float | None = None
        self.synchronized = True
        self.lengths: dict[str, int] = {}
        self.logs: Any = None


def before_train(_wrapped: Any, callbacks: Any, _args: Any, _kwargs: Any) -> None:
    """Data are prepared, the model is built: record what Keras resolved."""
    wrapping.restore()
    model = getattr(callbacks, "_model", None) or vars(callbacks).get("model")
    call = calls.enclosing_fit(model)
    if call is None or call.callbacks is not None:
        if model is None or callbacks is getattr(call, "callbacks", None):
            return
        # `fit` was bound before it was wrapped, or the loop is the user's own.
        call = training.start_run(model, {})
        call.bypassed = True
    call.bind(callbacks)
    call.watch = changes.Watch(call, callbacks.callbacks)
    training.describe_architecture(call)
    backend = call.recorder.backend
    _watch_gpus(call)
    call.recorder.trainings.prepared(
        call.run,
        parameters=getattr(callbacks, "params", None) or {},
        feed=call.feed_facts or {},
        callbacks=describe_callbacks(callbacks.callbacks),
        seeds=guard.attempt(seeds.seeds, backend) or {},
    )
    if not call.recorder.trainings.gpus_known:
        call.recorder.trainings.gpus_seen(guard.attempt(machine.gpus, backend))


def _watch_gpus(call: calls.Fit) -> None:
    """Once the model is built, it is known which GPUs it lies on."""
    call.gpus = meters.gpus_in_use(call.recorder.backend, call.model) if call.described else []
    if call.gpus:
        from kerasprov_agent.capture.device import gpu

        call.sampler = gpu.Sampler(call.recorder.backend, call.gpus)


def before_epoch(_wrapped: Any, callbacks: Any, args: Any, kwargs: Any) -> Epoch | None:
    """The first clock reading, before the callbacks' on_epoch_begin."""
    call = calls.fit_of(callbacks)
    if call is None:
        return None
    epoch = call.epoch = Epoch(int(args[0] if args else kwargs["epoch"]))
    if not call.run.epochs:
        events.first_epoch(call, epoch.number, callbacks.callbacks)
    return epoch


def after_begin(
    epoch: Epoch | None, callbacks: Any, _result: Any, exc: BaseException | None
) -> None:
    """The learning rates in force, and the clock at which training begins."""
    call = calls.fit_of(callbacks)
    if epoch is None or call is None or exc is not None:
        return
    if call.watch is not None:
        call.watch.look_at_begin(epoch.number)
    _count_steps(callbacks, epoch)
    epoch.begun = perf_counter()


def _count_steps(callbacks: Any, epoch: Epoch) -> None:
    """Keep the last step's number: a tenth of a microsecond a batch, and nothing else is exact.

    Keras' own count runs on over epochs, its `params["steps"]` is open for generators and too
    high where an epoch is cut short.
    """
    if "on_train_batch_end" in vars(callbacks):
        return
    on_train_batch_end = callbacks.on_train_batch_end

    def counting(batch: Any, *args: Any, **kwargs: Any) -> Any:
        if epoch.last_step is None:
            epoch.first_step = perf_counter()
        epoch.last_step = batch
        try:
            return on_train_batch_end(batch, *args, **kwargs)
        except BaseException as exc:
            drop_frames(exc)
            raise

    vars(callbacks)["on_train_batch_end"] = counting


def validation_begins(call: calls.Fit) -> None:
    """The boundary between training and validation, with the device idle."""
    epoch = call.epoch
    if epoch is not None and epoch.trained is None:
        done = meters.synchronize(call.recorder.backend, call.model, None, bool(call.gpus))
        epoch.synchronized = epoch.synchronized and done
        epoch.trained = perf_counter()


def before_end(_wrapped: Any, callbacks: Any, args: Any, kwargs: Any) -> Epoch | None:
    """Training and validation of the epoch are over; the callbacks' on_epoch_end come next."""
    call = calls.fit_of(callbacks)
    epoch: Epoch | None = call.epoch if call is not None else None
    if call is None or epoch is None:
        return None
    epoch.logs = args[1] if len(args) > 1 else kwargs.get("logs")
    done = meters.synchronize(call.recorder.backend, call.model, epoch.logs, bool(call.gpus))
    epoch.synchronized = epoch.synchronized and done
    epoch.ended = perf_counter()
    vars(callbacks).pop("on_train_batch_end", None)
    epoch.lengths = {name: len(values) for name, values in _history(callbacks).items()}
    return epoch


def after_epoch(
    epoch: Epoch | None, callbacks: Any, _result: Any, _exc: BaseException | None
) -> None:
    """Record the epoch; also when a callback raised, for it has been trained."""
    call = calls.fit_of(callbacks)
    if epoch is None or call is None or epoch.ended is None:
        return
    over = perf_counter()
    call.epoch = None
    if not call.described:
        training.describe_architecture(call)
        _watch_gpus(call)
    training.write_feeds(call)
    validated = epoch.trained is not None
    trained = epoch.trained if epoch.trained is not None else epoch.ended
    rate, rate_after = call.watch.rates(epoch.number) if call.watch else (None, None)
    row: dict[str, Any] = {
        "epoch": epoch.number,
        "started_at": epoch.started_at,
        "train_seconds": trained - epoch.begun,
        "validation_seconds": epoch.ended - trained if validated else None,
        "callback_seconds": (epoch.begun - epoch.started) + (over - epoch.ended),
        "first_step_seconds": None if epoch.first_step is None else epoch.first_step - epoch.begun,
        "synchronized": int(epoch.synchronized),
        "steps": _steps(call, epoch),
        "learning_rate": rate,
        "learning_rate_after": rate_after,
    }
    if call.gpus:
        row["gpu_allocated_seconds"] = (epoch.ended - epoch.begun) * len(call.gpus)
        if call.sampler is not None:
            row.update(call.sampler.between(epoch.begun, epoch.ended))
    metrics = _metrics(epoch, callbacks)
    call.last_epoch, call.last_loss = epoch.number, metrics.get("loss")
    call.recorder.trainings.epoch_ended(call.run, row, metrics)


def _history(callbacks: Any) -> dict[str, list[Any]]:
    return getattr(getattr(callbacks, "_history", None), "history", None) or {}


def _metrics(epoch: Epoch, callbacks: Any) -> dict[str, Any]:
    """What Keras reported: what its History took in, else what it was about to."""
    metrics = {
        name: values[-1]
        for name, values in _history(callbacks).items()
        if len(values) > epoch.lengths.get(name, 0)
    }
    return {str(k): metric(v) for k, v in (metrics or epoch.logs or {}).items()}


def _steps(call: calls.Fit, epoch: Epoch) -> int | None:
    """The steps of the epoch.

    With `steps_per_execution` > 1 Keras reports a last batch number that is too high, so the
    planned count is used.
    """
    planned = (getattr(call.callbacks, "params", None) or {}).get("steps")
    if (getattr(call.model, "steps_per_execution", None) or 1) != 1:
        return integer(planned)
    return 0 if epoch.last_step is None else int(epoch.last_step) + 1


def after_train(_token: None, callbacks: Any, _result: Any, exc: BaseException | None) -> None:
    """What stopped the training; ends a run whose `fit` we did not see."""
    call = calls.fit_of(callbacks)
    if call is not None and exc is None:
        events.train_ended(call, callbacks.callbacks)
    if call is not None and call.bypassed:
        training.end_run(call, exc)
