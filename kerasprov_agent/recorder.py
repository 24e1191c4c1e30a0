"""The record of an execution: what the hooks saw becomes rows, and rows become committed.

Identifiers are the execution's id and a local name: `<uuid>#fit-1`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.describe import models, outcomes
from kerasprov_agent.describe.values import flat, to_json
from kerasprov_agent.store import rows
from kerasprov_agent.store.operations import (
    Operation,
    described_like,
    insert,
    measured,
    replaced_architecture,
    update,
)


class Run:
    """A training that is being recorded."""

    def __init__(self, run_id: str, initial_model_id: str | None, planned: int | None) -> None:
        self.id = run_id
        self.initial_model_id = initial_model_id
        self.architecture_id: str | None = None
        self.planned = planned
        self.epochs = 0
        self.changes: list[Operation] = []
        """Hyperparameters altered since something of the run was last written."""
        self._positions: Counter[str] = Counter()

    def position(self, table: str) -> int:
        """The next row's place in a table of the run's."""
        self._positions[table] += 1
        return self._positions[table] - 1


class Recorder:
    """Turns plain facts into rows of one execution."""

    def __init__(self, parent_id: str | None, keras: Mapping[str, Any]) -> None:
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
            rows.derived(entity_id, state_id, run.id),
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
                rows.used(compile_id, state_id, "model", began),
                rows.derived(entity_id, state_id, compile_id),
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
        operations = [
            self._entity(entity_id, "dataset", now, name=role, **columns),
            *rows.arrays(entity_id, facts["arrays"]),
        ]
        return entity_id, [*operations, rows.used(activity_id, entity_id, role, now)]

    def run_started(
        self,
        kind: str,
        parent_id: str | None,
        state_id: str | None,
        compile_id: str | None,
        loss: str | None,
        optimizers: Sequence[Mapping[str, Any]],
        arguments: Mapping[str, Any],
        training_data: Mapping[str, Any] | None,
        validation_data: Mapping[str, Any] | None,
        validation_source: str | None,
    ) -> Run:
        """`fit` was called, or a loop of the program's own began to train a model."""
        run = Run(self._id("fit" if kind == "fit" else "loop"), state_id, arguments.get("epochs"))
        # Which of several trains is seen when it is over.
        optimizer = optimizers[0] if len(optimizers) == 1 else None
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
            "kind": kind,
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
            *([rows.used(run.id, state_id, "initial_model", now)] if state_id else []),
            *rows.params(run.id, "fit", arguments),
            *rows.params(run.id, "optimizer", flat(optimizer["config"]) if optimizer else {}),
            *(rows.optimizer(run.id, i, one) for i, one in enumerate(optimizers)),
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
            *rows.params(run.id, "seed", seeds),
            *rows.callbacks(run.id, callbacks),
        )

    def gpus_seen(self, names: list[str] | None) -> None:
        """The GPUs of the machine, asked for once a training has begun."""
        self.gpus_known = True
        if names is not None:
            self._write(update("execution", {"gpus": to_json(names)}, {"id": self.execution.id}))

    def optimizer_joined(self, run: Run, position: int, optimizer: Mapping[str, Any]) -> None:
        """A loop has another optimizer besides; which of them trained is seen at its end."""
        self._write(
            rows.optimizer(run.id, position, optimizer),
            update("run", {"optimizer": None, "learning_rate": None}, {"id": run.id}),
        )

    def changed(
        self, run: Run, epoch: int | None, name: str, old: Any, new: Any, by: str | None
    ) -> None:
        """A hyperparameter was altered; committed with the epoch, or the run's end."""
        row = {"run_id": run.id, "position": run.position("change"), "epoch": epoch}
        row.update(at=self._now(), name=name, old=old, new=new, by=by)
        run.changes.append(insert("change", row))

    def happened(
        self, run: Run, epoch: int | None, kind: str, by: str | None, details: Mapping[str, Any]
    ) -> None:
        """A callback or the program did something to a run."""
        row = {"run_id": run.id, "position": run.position("event"), "epoch": epoch}
        row.update(at=self._now(), kind=kind, by=by, details=to_json(details))
        self._write(insert("event", row))

    def epoch_ended(self, run: Run, row: dict[str, Any], metrics: Mapping[str, Any]) -> None:
        """An epoch, with every metric that Keras reported; committed before training goes on."""
        run.epochs += 1
        self.epochs += 1
        changes, run.changes = run.changes, []
        self._write(measured("epoch", {"run_id": run.id, **row}, metrics), *changes)

    def loop_goes_on(self, run: Run, steps: int) -> None:
        """So many steps of a loop are done."""
        changes, run.changes = run.changes, []
        self._write(update("run", {"steps": steps}, {"id": run.id}), *changes)

    def run_ended(
        self,
        run: Run,
        state_id: str | None,
        exc: BaseException | None,
        *,
        trained: bool,
        optimizers: Sequence[Mapping[str, Any]],
        ended_at: float | None = None,
        **columns: Any,
    ) -> str | None:
        """`fit` returned or raised, or a loop is over; returns the id of the model it left."""
        now = self._now() if ended_at is None else clock.iso(ended_at)
        trained_id, operations = state_id, list[Operation]()
        if trained and state_id is not None:
            trained_id, operations = self._next_state(run, state_id, now)
        row = {
            **outcomes.columns(exc),
            "ended_at": now,
            "trained_model_id": trained_id if trained else None,
            **columns,
        }
        self._write(
            *operations,
            *run.changes,
            *rows.optimizers_after(run.id, optimizers),
            update("run", row, {"id": run.id}),
        )
        self.execution.run_ended()
        return trained_id

    def use_started(
        self, kind: str, run_id: str | None, state_id: str, facts: Mapping[str, Any] | None
    ) -> str:
        """`predict` or the like was called on a model in a new state; returns the activity's id."""
        activity_id, now = self._id(kind), self._now()
        data_id, of_data = self._dataset(facts, activity_id, "data", now)
        row = {
            "id": activity_id,
            "execution_id": self.execution.id,
            "run_id": run_id,
            "kind": kind,
            "model_id": state_id,
            "data_id": data_id,
            "calls": 0,
            "seconds": 0.0,
            "started_at": now,
            "ended_at": now,
        }
        self._write(
            insert("activity", row), *of_data, rows.used(activity_id, state_id, "model", now)
        )
        return activity_id

    def used(self, activity_id: str, calls: int, seconds: float, last_call: float) -> None:
        """So many calls were made, so far."""
        row = {"calls": calls, "seconds": seconds, "ended_at": clock.iso(last_call)}
        self._write(update("activity", row, {"id": activity_id}))

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
            insert("evaluation", row), *of_data, rows.used(evaluation_id, state_id, "model", now)
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
        row = {"id": evaluation_id, **outcomes.columns(exc), "ended_at": self._now()}
        if feed.get("batch_size"):
            row["batch_size"] = feed["batch_size"]
        row["steps"] = feed.get("batches")
        self._write(measured("evaluation", row, results if exc is None else {}))
