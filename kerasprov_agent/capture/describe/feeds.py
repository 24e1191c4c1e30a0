"""What Keras made of its input: batches, batch size, and the first batch where it has looked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import data, loaders, tf_data
from kerasprov_agent.capture.describe.values import integer
from kerasprov_agent.tracebacks import drop_frames


def feed(feeding: Any) -> dict[str, Any]:
    """What an input became: `batches`, `batch_size`, `samples` an epoch, `arrays`, `own_batches`.

    `arrays` are those of the first batch, `own_batches` how many an input has that makes them
    itself. Of an `EpochIterator`, or Keras 2's `DataHandler`. What Keras can't tell is None. The
    input is not asked: Keras has asked it already, and it may be slow to answer.
    """
    adapter = getattr(feeding, "data_adapter", None) or feeding._adapter
    batch_size = _ask(adapter, "batch_size")
    batches = integer(getattr(feeding, "_num_batches", None)) or _ask(adapter, "get_size")
    samples = None
    from_arrays = type(adapter).__name__ in ("ArrayDataAdapter", "TensorLikeDataAdapter")
    if from_arrays:
        whole = _ask(adapter, "num_batches") or _ask(adapter, "get_size")
        partial = _ask(adapter, "partial_batch_size")
        steps = integer(_steps(feeding))
        if whole and batch_size:
            # With fewer steps than batches an epoch goes on where the one before it ended.
            in_steps = steps * batch_size if steps and steps < whole else None
            samples = in_steps or (whole - 1) * batch_size + (partial or batch_size)
    else:
        samples = guard.attempt(_samples, adapter, integer(_steps(feeding)), batch_size)
    facts: dict[str, Any] = {"batches": batches, "batch_size": batch_size, "samples": samples}
    facts.update(arrays=None, own_batches=None if from_arrays else batches)
    seen = getattr(adapter, "_first_batches", None)  # a generator's, which Keras has looked at
    if seen:
        facts["arrays"] = guard.attempt(data.batch, seen[0])
    elif type(adapter).__name__ == "PyDatasetAdapter":
        guard.attempt(_watch_first_batch, adapter, lambda arrays: facts.update(arrays=arrays))
    elif type(adapter).__name__ in ("GeneratorDataAdapter", "KerasSequenceAdapter"):  # Keras 2
        spec = getattr(getattr(adapter, "_dataset", None), "element_spec", None)
        arrays = guard.attempt(data.batch, spec) if spec is not None else None
        facts["arrays"] = arrays and {
            **arrays,
            "batch_size": getattr(adapter, "_first_batch_size", None),
        }
    return facts


def _samples(adapter: Any, steps: int | None, batch_size: int | None) -> int | None:
    """Samples of an epoch of a pipeline, or of a DataLoader; at most those of `steps` batches."""
    attributes = vars(adapter)
    if "_dataloader" in attributes:
        known = loaders.samples(attributes["_dataloader"])
    elif hasattr(attributes.get("_dataset"), "element_spec"):
        known = tf_data.samples(attributes["_dataset"])
    else:
        return None
    if known is not None and steps:
        return min(known, steps * batch_size) if batch_size else None
    return known


def _watch_first_batch(adapter: Any, tell: Callable[[Any], None]) -> None:
    """Look at the first batch that a PyDataset gives to Keras; nothing is left there for others."""
    if not hasattr(adapter, "_standardize_batch"):
        return
    adapter_ref = ref(adapter)

    def standardize(batch: Any) -> Any:
        adapter = adapter_ref()
        vars(adapter).pop("_standardize_batch", None)
        try:
            result = adapter._standardize_batch(batch)  # type: ignore[union-attr]
        except BaseException as exc:
            drop_frames(exc)
            raise
        tell(guard.attempt(data.batch, result))
        return result

    vars(adapter)["_standardize_batch"] = standardize


def _ask(adapter: Any, name: str) -> int | None:
    """A property in Keras 3, a method in Keras 2; None where it is open."""
    value = guard.attempt(getattr, adapter, name)
    return integer(value() if callable(value) else value)


def _steps(adapter: Any) -> Any:
    """The steps an epoch that were asked for, in Keras 3 and in Keras 2."""
    return getattr(adapter, "steps_per_epoch", None) or getattr(adapter, "_steps_per_epoch", None)
