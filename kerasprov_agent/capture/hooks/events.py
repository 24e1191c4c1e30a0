"""What callbacks do to a run: stop it, resume it, put back weights, save the model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from kerasprov_agent.capture.describe.callbacks import is_kind
from kerasprov_agent.capture.describe.values import integer, plain, public_name
from kerasprov_agent.capture.hooks import calls
from kerasprov_agent.kinds import is_a


def first_epoch(call: calls.Fit, epoch: int, callbacks: Iterable[Any]) -> None:
    """Training begins later than `fit` was told: BackupAndRestore resumed it."""
    backup = next(
        (callback for callback in callbacks if is_kind(callback, "BackupAndRestore")), None
    )
    if backup is not None and epoch != call.first_epoch:
        directory = plain(getattr(backup, "backup_dir", None))
        details = {"initial_epoch": epoch, "backup_dir": directory}
        call.recorder.trainings.happened(call.run, epoch, "resumed", "BackupAndRestore", details)


def train_ended(call: calls.Fit, callbacks: Iterable[Any]) -> None:
    """`on_train_end` is over: which callback stopped the training, if one did."""
    stopped = bool(getattr(call.model, "stop_training", False))
    explained = False
    for callback in callbacks:
        if is_kind(callback, "EarlyStopping"):
            explained = _early_stopping(call, callback) or explained
        elif stopped and is_kind(callback, "TerminateOnNaN") and _is_nan(call.last_loss):
            explained = True
            details = {"loss": repr(call.last_loss)}
            call.recorder.trainings.happened(
                call.run, call.last_epoch, "nan", "TerminateOnNaN", details
            )
    if stopped and not explained:
        call.recorder.trainings.happened(call.run, call.last_epoch, "stopped", None, {})


def _early_stopping(call: calls.Fit, callback: Any) -> bool:
    """Record what it did; whether it stopped the training."""
    stopped_epoch = integer(getattr(callback, "stopped_epoch", None)) or 0
    stopped = stopped_epoch > 0
    restored = _has_restored(callback, stopped)
    if not stopped and not restored:
        return False
    best = getattr(callback, "best_epoch", None)
    details = {
        "monitor": plain(getattr(callback, "monitor", None)),
        "stopped_epoch": stopped_epoch if stopped else None,
        "best_epoch": plain(best),
        "best": plain(getattr(callback, "best", None)),
        "weights_restored": restored,
    }
    by = public_name(type(callback))
    epoch = stopped_epoch if stopped else call.last_epoch
    kind = "early_stopping" if stopped else "weights_restored"
    call.recorder.trainings.happened(call.run, epoch, kind, by, details)
    return stopped


def _has_restored(callback: Any, stopped: bool) -> bool | None:
    """Whether it put back the best weights; Keras before 3.5 or so does it only when it stops."""
    best_weights = getattr(callback, "best_weights", None)
    if not getattr(callback, "restore_best_weights", False) or best_weights is None:
        return False
    if stopped:
        return True
    code = getattr(type(callback).on_train_end, "__code__", None)
    return None if code is None else "best_weights" in code.co_names


def _is_nan(loss: Any) -> bool:
    return is_a(loss, float) and not math.isfinite(loss)
