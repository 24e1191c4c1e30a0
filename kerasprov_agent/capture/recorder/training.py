"""Runs: what began them, their epochs and changes, what ended them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.capture import tags
from kerasprov_agent.capture.describe import outcomes
from kerasprov_agent.capture.describe.values import flat, integer, to_json
from kerasprov_agent.capture.recorder.code import Code
from kerasprov_agent.capture.recorder.ledger import Ledger
from kerasprov_agent.capture.recorder.models import Models
from kerasprov_agent.capture.recorder.run import Run
from kerasprov_agent.store import rows
from kerasprov_agent.store.layers import dropout_rate, hidden_activation
from kerasprov_agent.store.operations import (
    Operation,
    fill,
    insert,
    measured,
    named,
    replaced_architecture,
    update,
)


class Trainings:
    """Records trainings."""

    def __init__(self, ledger: Ledger, code: Code, models: Models) -> None:
        self._ledger = ledger
        self._code = code
        self._models = models
        self.gpus_known = False
        self.runs = 0
        """How many runs this execution has begun."""
        self.epochs = 0
        """How many epochs of all its runs are over."""

    def started(
        self,
        kind: str,
        parent_id: str | None,
        caller: str | None,
        trial_id: str | None,
        state_id: str | None,
        compile_id: str | None,
        loss: str | None,
        optimizers: Sequence[Mapping[str, Any]],
        params: Mapping[str, Mapping[str, Any]],
        training_data: Mapping[str, Any] | None,
        validation_data: Mapping[str, Any] | None,
        validation_source: str | None,
    ) -> Run:
        """Record that `fit` was called, or that a loop of the program began to train a model.

        `params` are its arguments (under `fit`) and what else steers it, by where that stands.
        """
        arguments = params.get("fit", {})
        planned = integer(arguments.get("epochs"))
        run = Run(self._ledger.new_id("fit" if kind == "fit" else "loop"), state_id, planned)
        # Which of several trains is seen when it is over.
        optimizer = optimizers[0] if len(optimizers) == 1 else None
        said = tags.said()
        run.tags = said.tags
        now = self._ledger.now()
        self.runs += 1
        training_id, of_training = self._ledger.dataset(training_data, run.id, "training_data", now)
        validation_id, of_validation = self._ledger.dataset(
            validation_data, run.id, "validation_data", now
        )
        run.training_data_id, run.validation_data_id = training_id, validation_id
        row = {
            "id": run.id,
            "execution_id": self._ledger.execution.id,
            "parent_id": parent_id,
            "trial_id": trial_id,
            "caller": caller,
            "cell": self._code.current_cell(),
            "kind": kind,
            "label": self._ledger.execution.label if said.name is None else said.name,
            "tags": to_json(run.tags) if run.tags else None,
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
            "batch_size": _batch_size(arguments, training_data),
            "epochs_planned": run.planned,
        }
        self._ledger.write(
            insert("run", row),
            *of_training,
            *of_validation,
            *([rows.used(run.id, state_id, "initial_model", now)] if state_id else []),
            *(
                row
                for source, values in params.items()
                for row in rows.params(run.id, source, values)
            ),
            *rows.params(run.id, "argument", self._ledger.execution.arguments),
            *rows.params(run.id, "optimizer", flat(optimizer["config"]) if optimizer else {}),
            *(
                rows.optimizer(run.id, i, optimizer_facts)
                for i, optimizer_facts in enumerate(optimizers)
            ),
        )
        return run

    def tagged(self, run: Run, name: str | None, further: Mapping[str, Any]) -> None:
        """Give a run that goes on another name, or further tags."""
        run.tags = {**run.tags, **further}
        self._ledger.write(
            *([named(run.id, name)] if name is not None else []),
            *([update("run", {"tags": to_json(run.tags)}, {"id": run.id})] if further else []),
        )

    def architecture_seen(self, run: Run, facts: Mapping[str, Any]) -> None:
        """Record the structure of a run's model."""
        layers = facts["layers"]
        earlier, run.architecture_id = run.architecture_id, facts["id"]
        row = {k: facts[k] for k in facts if k != "layers"}
        derived = {
            "layers": len(layers),
            "activation": hidden_activation(layers),
            "dropout": dropout_rate(layers),
        }
        self._ledger.write(
            insert("architecture", {**row, **derived}),
            *(insert("layer", {"architecture_id": facts["id"], **layer}) for layer in layers),
            update("run", {"architecture_id": facts["id"]}, {"id": run.id}),
            update("entity", {"architecture_id": facts["id"]}, {"id": run.initial_model_id}),
            *([replaced_architecture(earlier)] if earlier and earlier != facts["id"] else []),
        )

    def prepared(
        self,
        run: Run,
        parameters: Mapping[str, Any],
        feed: Mapping[str, Any],
        callbacks: Sequence[Mapping[str, Any]],
        seeds: Mapping[str, int],
    ) -> None:
        """Record what Keras prepared just before the first epoch."""
        planned = integer(parameters.get("epochs"))
        run.planned = run.planned if planned is None else planned
        row = {
            "training_started_at": self._ledger.now(),
            "epochs_planned": run.planned,
            "steps_per_epoch": integer(parameters.get("steps")) or feed.get("batches"),
            "samples": feed.get("samples"),
        }
        if feed.get("batch_size"):
            row["batch_size"] = feed["batch_size"]
        self._ledger.write(
            update("run", row, {"id": run.id}),
            *rows.params(run.id, "seed", seeds),
            *rows.callbacks(run.id, callbacks),
        )

    def batch_seen(self, run: Run | None, data_id: str, batch: Mapping[str, Any]) -> None:
        """Record the first batch of an input that could not tell its shapes; `run` trains on it."""
        size = batch["batch_size"]
        self._ledger.write(
            *rows.arrays(data_id, batch["arrays"]),
            *([fill("entity", {"batch_size": size}, {"id": data_id})] if size else []),
            *(
                [fill("run", {"batch_size": size}, {"id": run.id})]
                if size and run and data_id == run.training_data_id
                else []
            ),
        )

    def batches_counted(self, data_id: str, batches: int) -> None:
        """Record how many batches an epoch has, for an input that makes batches itself."""
        self._ledger.write(fill("entity", {"batches": batches}, {"id": data_id}))

    def gpus_seen(self, names: list[str] | None) -> None:
        """Record the machine's GPUs, which are asked for once a training has begun."""
        self.gpus_known = True
        if names is not None:
            self._ledger.write(
                update("execution", {"gpus": to_json(names)}, {"id": self._ledger.execution.id})
            )

    def optimizer_joined(self, run: Run, position: int, optimizer: Mapping[str, Any]) -> None:
        """Record a further optimizer of a loop; which of them trained is known at its end."""
        self._ledger.write(
            rows.optimizer(run.id, position, optimizer),
            update("run", {"optimizer": None, "learning_rate": None}, {"id": run.id}),
        )

    def changed(
        self, run: Run, epoch: int | None, name: str, old: Any, new: Any, by: str | None
    ) -> None:
        """Note that a hyperparameter changed; it is committed with the epoch, or the run's end."""
        row = {"run_id": run.id, "position": run.position("change"), "epoch": epoch}
        row.update(at=self._ledger.now(), name=name, old=old, new=new, by=by)
        run.changes.append(insert("change", row))

    def happened(
        self, run: Run, epoch: int | None, kind: str, by: str | None, details: Mapping[str, Any]
    ) -> None:
        """Record what a callback or the program did to a run."""
        row = {"run_id": run.id, "position": run.position("event"), "epoch": epoch}
        row.update(at=self._ledger.now(), kind=kind, by=by, details=to_json(details))
        self._ledger.write(insert("event", row))

    def epoch_ended(self, run: Run, row: dict[str, Any], metrics: Mapping[str, Any]) -> None:
        """Commit an epoch with every metric that Keras reported, before training goes on."""
        run.epochs += 1
        self.epochs += 1
        changes, run.changes = run.changes, []
        self._ledger.write(measured("epoch", {"run_id": run.id, **row}, metrics), *changes)

    def loop_goes_on(self, run: Run, steps: int) -> None:
        """Record how many steps of a loop are done."""
        changes, run.changes = run.changes, []
        self._ledger.write(update("run", {"steps": steps}, {"id": run.id}), *changes)

    def ended(
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
        """Record the end of a run; returns the id of the model that it left."""
        now = self._ledger.now() if ended_at is None else clock.iso(ended_at)
        trained_id, operations = state_id, list[Operation]()
        if trained and state_id is not None:
            trained_id, operations = self._models.next_state(run, state_id, now)
        row = {
            **outcomes.columns(exc),
            "ended_at": now,
            "trained_model_id": trained_id if trained else None,
            **columns,
        }
        self._ledger.write(
            *operations,
            *run.changes,
            *rows.optimizers_after(run.id, optimizers),
            update("run", row, {"id": run.id}),
        )
        self._ledger.execution.run_ended()
        return trained_id


def _batch_size(arguments: Mapping[str, Any], data: Mapping[str, Any] | None) -> int | None:
    """The batch size in force: Keras ignores the argument if the input makes batches itself."""
    if data is not None and data["batched"]:
        size: int | None = data["batch_size"]
        return size
    return integer(arguments.get("batch_size"))
