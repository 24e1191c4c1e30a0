"""The record of this process: what the hooks saw becomes rows, and rows become committed.

One `Recorder` an execution, begun when the first thing is recorded and ended with the process.
Identifiers are the execution's id and a local name: `<uuid>#fit-1`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kerasprov_agent import clock, guard
from kerasprov_agent.describe import models, redaction
from kerasprov_agent.describe.values import TEXT_LIMIT, flat, to_json
from kerasprov_agent.store.operations import (
    Operation,
    described_like,
    insert,
    measured,
    replaced_architecture,
    update,
)

keras: dict[str, Any] = {}
"""What `describe.machine.keras` told of the Keras that was imported."""


class Run:
    """A training that is being recorded."""

    def __init__(self, run_id: str, initial_model_id: str, planned: int | None) -> None:
        self.id = run_id
        self.initial_model_id = initial_model_id
        self.architecture_id: str | None = None
        self.planned = planned
        self.epochs = 0


class Recorder:
    """Turns plain facts into rows of one execution."""

    def __init__(self, parent_id: str | None) -> None:
        # sqlite3 is not loaded before there is something to record.
        from kerasprov_agent.execution import Execution

        self.execution = Execution(parent_id, keras)
        self.backend: str | None = keras.get("backend")
        self.gpus_known = False
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.runs = 0
        self.epochs = 0

    def _id(self, kind: str) -> str:
        with self._lock:
            self._numbers[kind] += 1
            return f"{self.execution.id}#{kind}-{self._numbers[kind]}"

    def _write(self, *operations: Operation) -> None:
        self.execution.write(operations)

    def _now(self) -> str:
        return clock.iso(clock.now())

    def model_seen(self, name: str | None, class_name: str) -> str:
        """A model that was not known: its present state becomes an entity; returns its id."""
        entity_id, now = self._id("model"), self._now()
        self._write(
            self._entity(entity_id, "model", now, name=name, class_name=class_name),
            insert(
                "generated",
                {"entity_id": entity_id, "activity_id": self.execution.id, "at": now},
            ),
        )
        return entity_id

    def model_changed(self, run: Run, state_id: str) -> str:
        """A model in the midst of its training, when something looks at it; returns its id."""
        entity_id, operations = self._next_state(run, state_id, self._now())
        self._write(*operations)
        return entity_id

    def _entity(self, entity_id: str, kind: str, seen_at: str, **columns: Any) -> Operation:
        row = {"id": entity_id, "execution_id": self.execution.id, "kind": kind}
        return insert("entity", {**row, "seen_at": seen_at, **columns})

    def _next_state(self, run: Run, state_id: str, now: str) -> tuple[str, list[Operation]]:
        entity_id = self._id("model")
        return entity_id, [
            self._entity(entity_id, "model", now),
            described_like(entity_id, state_id),
            insert("generated", {"entity_id": entity_id, "activity_id": run.id, "at": now}),
            _derived(entity_id, state_id, run.id),
        ]

    def compiled(
        self,
        state_id: str | None,
        started: float,
        facts: Mapping[str, Any],
        name: str | None,
        class_name: str,
    ) -> tuple[str, str]:
        """A `compile` that ended now.

        It makes a new state of the model, from `state_id` if the model was known before. Returns
        the ids of the compile and of that state.
        """
        compile_id, entity_id, now = self._id("compile"), self._id("model"), self._now()
        began = clock.iso(started)
        operations = [
            self._entity(entity_id, "model", now, name=name, class_name=class_name),
            insert("compile", self._compile(compile_id, entity_id, began, now, facts)),
            insert("generated", {"entity_id": entity_id, "activity_id": compile_id, "at": now}),
        ]
        if state_id is not None:
            operations += [
                described_like(entity_id, state_id),
                _used(compile_id, state_id, "model", began),
                _derived(entity_id, state_id, compile_id),
            ]
        self._write(*operations)
        return compile_id, entity_id

    def found_compiled(self, state_id: str, facts: Mapping[str, Any]) -> str:
        """A model that was compiled before the agent could see it; returns the compile's id."""
        compile_id = self._id("compile")
        self._write(insert("compile", self._compile(compile_id, state_id, None, None, facts)))
        return compile_id

    def _compile(
        self,
        compile_id: str,
        model_id: str,
        began: str | None,
        ended: str | None,
        facts: Mapping[str, Any],
    ) -> dict[str, Any]:
        row = {"id": compile_id, "execution_id": self.execution.id, "model_id": model_id}
        return {**row, "started_at": began, "ended_at": ended, **facts}

    def _dataset(
        self, facts: Mapping[str, Any] | None, activity_id: str, role: str, now: str
    ) -> tuple[str | None, list[Operation]]:
        if facts is None:
            return None, []
        entity_id = self._id("data")
        columns = {k: facts[k] for k in ("class_name", "samples", "batches", "batch_size")}
        operations = [self._entity(entity_id, "dataset", now, name=role, **columns)]
        operations += [
            insert(
                "array",
                {
                    "entity_id": entity_id,
                    "position": position,
                    **array,
                    "shape": to_json(array["shape"]),
                },
            )
            for position, array in enumerate(facts["arrays"])
        ]
        return entity_id, [*operations, _used(activity_id, entity_id, role, now)]

    def run_started(
        self,
        parent_id: str | None,
        state_id: str,
        compile_id: str | None,
        loss: str | None,
        optimizer: Mapping[str, Any] | None,
        arguments: Mapping[str, Any],
        training_data: Mapping[str, Any] | None,
        validation_data: Mapping[str, Any] | None,
        validation_source: str | None,
    ) -> Run:
        """`fit` was called."""
        run = Run(self._id("fit"), state_id, arguments.get("epochs"))
        now = self._now()
        self.runs += 1
        training_id, of_training = self._dataset(training_data, run.id, "training_data", now)
        validation_id, of_validation = self._dataset(
            validation_data, run.id, "validation_data", now
        )
        row = {
            "id": run.id,
            "execution_id": self.execution.id,
            "parent_id": parent_id,
            "label": self.execution.label,
            "status": "running",
            "started_at": now,
            "compile_id": compile_id,
            "initial_model_id": state_id,
            "training_data_id": training_id,
            "validation_data_id": validation_id,
            "validation_source": validation_source,
            "optimizer": optimizer and optimizer["class_name"],
            "learning_rate": optimizer and optimizer["learning_rate"],
            "loss": loss,
            "batch_size": arguments.get("batch_size") or (training_data or {}).get("batch_size"),
            "epochs_planned": run.planned,
        }
        self._write(
            insert("run", row),
            *of_training,
            *of_validation,
            _used(run.id, state_id, "initial_model", now),
            *_params(run.id, "fit", arguments),
            *_params(run.id, "optimizer", flat(optimizer["config"]) if optimizer else {}),
        )
        return run

    def architecture_seen(self, run: Run, facts: Mapping[str, Any]) -> None:
        """The structure of a run's model."""
        layers = facts["layers"]
        earlier, run.architecture_id = run.architecture_id, facts["id"]
        row = {k: facts[k] for k in facts if k != "layers"}
        derived = {
            "layers": len(layers),
            "activation": models.hidden_activation(layers),
            "dropout": models.dropout_rate(layers),
        }
        self._write(
            insert("architecture", {**row, **derived}),
            *(insert("layer", {"architecture_id": facts["id"], **layer}) for layer in layers),
            update("run", {"architecture_id": facts["id"]}, {"id": run.id}),
            update("entity", {"architecture_id": facts["id"]}, {"id": run.initial_model_id}),
            *([replaced_architecture(earlier)] if earlier and earlier != facts["id"] else []),
        )

    def run_prepared(
        self,
        run: Run,
        parameters: Mapping[str, Any],
        feed: Mapping[str, Any],
        callbacks: Sequence[Mapping[str, Any]],
        seeds: Mapping[str, int],
    ) -> None:
        """Keras has prepared the data and built the model; the first epoch comes next."""
        planned = parameters.get("epochs")
        run.planned = planned if isinstance(planned, int) else run.planned
        row = {
            "training_started_at": self._now(),
            "epochs_planned": run.planned,
            "steps_per_epoch": parameters.get("steps") or feed.get("batches"),
            "samples": feed.get("samples"),
        }
        if feed.get("batch_size"):
            row["batch_size"] = feed["batch_size"]
        self._write(
            update("run", row, {"id": run.id}),
            *_params(run.id, "seed", seeds),
            *(
                insert(
                    "callback",
                    {
                        "run_id": run.id,
                        "position": position,
                        "class_name": one["class_name"],
                        "settings": to_json(one["settings"]),
                    },
                )
                for position, one in enumerate(callbacks)
            ),
        )

    def gpus_seen(self, names: list[str] | None) -> None:
        """The GPUs of the machine, asked for once a training has begun."""
        self.gpus_known = True
        if names is not None:
            self._write(update("execution", {"gpus": to_json(names)}, {"id": self.execution.id}))

    def epoch_ended(self, run: Run, row: dict[str, Any], metrics: Mapping[str, Any]) -> None:
        """An epoch, with every metric that Keras reported; committed before training goes on."""
        run.epochs += 1
        self.epochs += 1
        self._write(measured("epoch", {"run_id": run.id, **row}, metrics))

    def run_ended(
        self,
        run: Run,
        state_id: str,
        validation: Mapping[str, Any],
        exc: BaseException | None,
    ) -> str:
        """`fit` returned or raised; returns the id of the model as it left it."""
        now = self._now()
        trained_id, operations = (
            self._next_state(run, state_id, now) if run.epochs else (state_id, [])
        )
        row = {
            **_outcome(exc),
            "ended_at": now,
            "trained_model_id": trained_id if run.epochs else None,
            "epochs_finished": run.epochs,
            "stopped_early": None
            if run.planned is None or exc is not None
            else int(run.epochs < run.planned),
            "validation_samples": validation.get("samples"),
        }
        self._write(*operations, update("run", row, {"id": run.id}))
        self.execution.run_ended()
        return trained_id

    def evaluation_started(
        self,
        run_id: str | None,
        epoch: int | None,
        state_id: str,
        test_data: Mapping[str, Any] | None,
    ) -> str:
        """`evaluate` was called; returns the evaluation's id."""
        evaluation_id, now = self._id("evaluate"), self._now()
        data_id, of_data = self._dataset(test_data, evaluation_id, "test_data", now)
        row = {
            "id": evaluation_id,
            "execution_id": self.execution.id,
            "run_id": run_id,
            "epoch": epoch,
            "model_id": state_id,
            "data_id": data_id,
            "status": "running",
            "started_at": now,
            "batch_size": (test_data or {}).get("batch_size"),
        }
        self._write(
            insert("evaluation", row), *of_data, _used(evaluation_id, state_id, "model", now)
        )
        return evaluation_id

    def evaluation_ended(
        self,
        evaluation_id: str,
        results: Mapping[str, Any],
        feed: Mapping[str, Any],
        exc: BaseException | None,
    ) -> None:
        """`evaluate` returned `results`, or raised."""
        row = {"id": evaluation_id, **_outcome(exc), "ended_at": self._now()}
        if feed.get("batch_size"):
            row["batch_size"] = feed["batch_size"]
        row["steps"] = feed.get("batches")
        self._write(measured("evaluation", row, results if exc is None else {}))


def _used(activity_id: str, entity_id: str, role: str, at: str) -> Operation:
    return insert(
        "used", {"activity_id": activity_id, "entity_id": entity_id, "role": role, "at": at}
    )


def _derived(entity_id: str, source_id: str, activity_id: str) -> Operation:
    return insert(
        "derived", {"entity_id": entity_id, "source_id": source_id, "activity_id": activity_id}
    )


def _params(run_id: str, source: str, values: Mapping[str, Any]) -> list[Operation]:
    return [
        insert("param", {"run_id": run_id, "source": source, "name": name, "value": value})
        for name, value in values.items()
    ]


def outcome(exc: BaseException | None) -> str:
    """finished, failed, or interrupted by Ctrl-C or `sys.exit`."""
    if exc is None:
        return "finished"
    return "failed" if isinstance(exc, Exception) else "interrupted"


def _outcome(exc: BaseException | None) -> dict[str, Any]:
    return {"status": outcome(exc), **exception_columns(exc)}


def exception_columns(exc: BaseException | None) -> dict[str, Any]:
    """The class and the message of an exception, for the columns of those names."""
    if exc is None:
        return {}
    return {
        "exception_type": type(exc).__name__,
        "exception": redaction.text(str(exc))[:TEXT_LIMIT],
    }


_current: Recorder | None = None
_parent_id: str | None = None
_lock = threading.Lock()
_watching = False
_raised: BaseException | None = None


def current() -> Recorder:
    """The recorder of this process, begun at the first call."""
    global _current
    with _lock:
        if _current is None:
            _current = Recorder(_parent_id)
        return _current


def watch_forks() -> None:
    """End the record with the process, and begin none in a child that merely was forked."""
    global _watching
    if not _watching:
        _watching = True
        atexit.register(guard.call, _at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)


def _forked() -> None:
    """In the child: nothing is recorded until it trains itself, then as an execution of its own."""
    global _current, _parent_id, _lock, _raised
    _lock = threading.Lock()
    _raised = None
    calls = sys.modules.get("kerasprov_agent.hooks.calls")
    if calls is not None:
        calls.forget()
    if _current is not None:
        _parent_id = _current.execution.id
        _current.execution.abandon()
        _current = None


def program_raised(exc: BaseException) -> None:
    """The runner saw the program end with an exception; told again at exit."""
    global _raised
    _raised = exc


def _at_exit() -> None:
    exc = _raised
    if exc is None and not hasattr(sys, "ps1"):
        # Python keeps the exception that it printed last; the interpreter ends with it.
        exc = getattr(sys, "last_value", None)
    _finish(exc, at_exit=True)


def finish() -> None:
    """End the record of this execution now."""
    _finish(None, at_exit=False)


def _finish(exc: BaseException | None, at_exit: bool) -> None:
    global _current
    with _lock:
        ending, _current = _current, None
    calls = sys.modules.get("kerasprov_agent.hooks.calls")
    if calls is not None and not at_exit:
        calls.forget()
    if ending is not None:
        ending.execution.end(exc, at_exit, ending.runs, ending.epochs)
