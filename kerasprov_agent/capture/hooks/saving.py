"""Models saved and loaded: `save`, `save_weights`, `export`, `load_model`, `load_weights`.

Of calls within each other, as `Model.save` and the function that it calls, the outermost counts.
"""

from __future__ import annotations

import glob
import os
from typing import Any

from kerasprov_agent import clock, guard
from kerasprov_agent.capture.describe import optimizers
from kerasprov_agent.capture.describe.callbacks import is_kind
from kerasprov_agent.capture.describe.values import plain
from kerasprov_agent.capture.files import hashing, versions
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.hooks import calls, frames, inputs, loops, training
from kerasprov_agent.capture.hooks import optimizers as constructed
from kerasprov_agent.capture.recorder import Recorder
from kerasprov_agent.capture.session import session
from kerasprov_agent.kinds import is_a

ROLES = {"ModelCheckpoint": "checkpoint", "BackupAndRestore": "backup"}
"""What a file is, by the callback of Keras that writes it."""
KINDS = {
    "save": "save", "save_model": "save", "save_model_to_hdf5": "save",
    "save_weights": "save_weights", "save_weights_only": "save_weights", "export": "export",
    "load_model": "load", "load_model_from_hdf5": "load",
    "load_weights": "load_weights", "load_weights_only": "load_weights",
}  # fmt: skip
ROLE_OF_KIND = {"save": "model", "export": "model", "load": "model"}
MEMBERS_LIMIT = 10_000


class Saving:
    """A `save` or `load` in progress."""

    def __init__(self, record: Recorder, kind: str, path: str, model: Any) -> None:
        self.record, self.kind, self.path, self.model = record, kind, path, model
        self.quiet = watch.quiet()
        self.id = ""
        self.state_id: str | None = None
        self.by: str | None = None
        self.role: str | None = None

    def is_over(self) -> bool:
        """It is not, as long as it lies on the stack."""
        return False


def before_method(wrapped: Any, model: Any, args: Any, kwargs: Any) -> Saving | None:
    """A method of the model's was called with a path."""
    return _begin(str(wrapped.__name__), model, args[0] if args else kwargs.get("filepath"))


def after_method(call: Saving | None, model: Any, _result: Any, exc: BaseException | None) -> None:
    """It returned, or raised."""
    if call is not None:
        _end(call, model, exc)


def before_save(function: Any, args: Any, kwargs: Any) -> Saving | None:
    """One of Keras' functions that save a model, or load weights into one."""
    model = args[0] if args else kwargs.get("model")
    path = args[1] if len(args) > 1 else kwargs.get("filepath")
    return _begin(str(function.__name__), model, path)


def before_load(function: Any, args: Any, kwargs: Any) -> Saving | None:
    """One of Keras' functions that make a model of a file."""
    return _begin(str(function.__name__), None, args[0] if args else kwargs.get("filepath"))


def after_function(call: Saving, result: Any, exc: BaseException | None) -> None:
    """It returned, or raised."""
    _end(call, call.model if call.model is not None else result, exc)


def _begin(name: str, model: Any, path: Any) -> Saving | None:
    if not is_a(path, (str, os.PathLike)) or isinstance(calls.top(), Saving):
        return None
    # Resolved before the program may change its directory.
    call = Saving(session.current(), KINDS[name], versions.absolute(os.fspath(path)), model)
    call.by = frames.actor()
    callback = frames.callback_at_work()
    call.role = next((role for name, role in ROLES.items() if is_kind(callback, name)), None)
    inputs.catch_up(call.record)
    run_id, epoch = None, None
    if model is not None:
        within = calls.enclosing_fit(model) or loops.of(model)
        call.state_id = training.ensure_state(call.record, model)
        run_id = within.run.id if within else calls.known(model).run_id
        if within is not None:
            epoch = within.epoch.number if within.epoch else getattr(within, "last_epoch", None)
            if call.kind in ("save", "save_weights", "export"):
                call.state_id = call.record.models.changed(
                    within.run, call.state_id, within.has_trained
                )
                calls.known(model).state_id = call.state_id
    call.id = call.record.savings.started(call.kind, run_id, call.state_id, epoch, call.by)
    calls.push(call)
    call.quiet.__enter__()
    return call


def _end(call: Saving, model: Any, exc: BaseException | None) -> None:
    call.quiet.__exit__()
    calls.pop(call)
    if exc is None:
        guard.call(_made, call, model)
    call.record.savings.ended(call.id, exc)


def _made(call: Saving, model: Any) -> None:
    """A file came of a model, or a model of a file."""
    role = call.role or ROLE_OF_KIND.get(call.kind, "weights")
    if call.kind in ("load", "load_weights"):
        _loaded(call, role, model)
    else:
        _saved(call, role, model)


def _saved(call: Saving, role: str, model: Any) -> None:
    for path in _written(call.path):
        call.record.savings.model_saved(call.id, call.state_id, path, role, clock.now())
    within = calls.enclosing_fit(model)
    if within is not None:
        epoch = within.epoch.number if within.epoch else within.last_epoch
        call.record.trainings.happened(
            within.run, epoch, "saved", call.by, {"path": plain(call.path)}
        )


def _loaded(call: Saving, role: str, model: Any) -> None:
    files = _members(call.path)
    for optimizer in optimizers.of_model(model):
        constructed.remember_rate(optimizer[1], None)  # its variables may have been loaded as well
    known = calls.known(model)
    known.state_id = call.record.savings.model_loaded(
        call.id, known.state_id, files, role, *training.identity(model)
    )


def _written(path: str) -> list[str]:
    """What a `save` made: a file, a directory, or the files that begin with a prefix."""
    return [path] if os.path.exists(path) else sorted(glob.glob(f"{glob.escape(path)}.*"))


def _members(path: str) -> list[tuple[str, versions.Version | None]]:
    """The files that a `load` reads."""
    paths = [
        member
        for inner in _written(path)
        for member in (
            hashing.files_below(inner, MEMBERS_LIMIT) if os.path.isdir(inner) else [inner]
        )
    ]
    return [(inner, versions.of_path(inner)) for inner in paths]
