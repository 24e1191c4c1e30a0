"""Numbers in the variables and tensors of a backend, fetched only where nobody can see it.

TensorFlow executes an operation to read a variable, torch to read a tensor. What the program has
set up to watch its operations would see ours among them, so they are left out then.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from kerasprov_agent.kinds import is_a

JAX = frozenset(("jax", "jaxlib"))
VERBOSE = ("TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_VMODULE")
"""Environment variables by which TensorFlow itself prints each operation."""


def library(value: Any) -> str:
    """The package that a variable or tensor belongs to, one of Keras' own to its backend's."""
    return type(getattr(value, "_value", value)).__module__.partition(".")[0]


def number(value: Any) -> Any:
    """The number in a variable or tensor; None where the program would see it fetched.

    Raises whatever the backend does where there is no single number.
    """
    value = getattr(value, "_value", value)
    if value is None or is_a(value, (bool, int, float)):
        return value
    package = library(value)
    if package == "tensorflow":
        return _of_tensorflow(value)
    if package == "torch":
        return None if is_seen(package) else _of_torch(value)
    with unguarded(package):
        return value.item()


def elements(value: Any) -> Any:
    """The numbers in an array or tensor as nested lists; None where fetching them would be seen."""
    package = library(value)
    value = getattr(value, "_value", value)
    if package == "tensorflow":
        return value.numpy().tolist() if hasattr(value, "_numpy") else None
    if package == "torch":
        if is_seen(package):
            return None
        with sys.modules["torch"]._C.DisableTorchFunction():
            return value.tolist()
    with unguarded(package):
        return value.tolist()


def is_seen(package: str, computed: bool = False) -> bool:
    """Whether the program would see that a number is fetched now, on this thread.

    `computed`: that it is computed first, which JAX does not do unseen where it can fetch.
    """
    if package == "tensorflow":
        return _by_tensorflow()
    if package == "torch":
        return _by_torch()
    return computed and package in JAX and _by_jax()


def unguarded(package: str) -> AbstractContextManager[Any]:
    """Where what guards the transfers of a program on JAX does not act upon ours."""
    jax: Any = sys.modules.get("jax") if package in JAX else None
    return nullcontext() if jax is None else jax.transfer_guard("allow")


def _of_tensorflow(value: Any) -> Any:
    if hasattr(value, "_numpy"):  # an eager tensor, whose memory is looked at
        return value.numpy().item()
    if is_seen("tensorflow"):
        return None
    if type(value).__name__ == "ResourceVariable":
        # `numpy()` would execute a second operation.
        read = sys.modules["tensorflow"].raw_ops.ReadVariableOp
        value = read(resource=value.handle, dtype=value.dtype)
    return value.numpy().item()


def _of_torch(value: Any) -> Any:
    # A TorchFunctionMode, such as that of `torch.set_default_device`, is not told of it.
    with sys.modules["torch"]._C.DisableTorchFunction():
        return value.item()


def _by_tensorflow() -> bool:
    context_module: Any = sys.modules.get("tensorflow.python.eager.context")
    if context_module is None:
        return False
    context = context_module.context()
    logged = context._log_device_placement
    if logged is None:
        logged = getattr(context._config, "log_device_placement", False)
    record: Any = sys.modules["tensorflow.python.eager.record"]
    profiler: Any = sys.modules.get("tensorflow.python.profiler.profiler_v2")
    return bool(
        logged
        or context.op_callbacks
        or not context.executing_eagerly()  # a graph is being built
        or record.could_possibly_record()  # a tape
        or getattr(profiler, "_profiler", None) is not None
        or context.is_async()  # an error of the program's would be raised to us
        or any(os.environ.get(name) for name in VERBOSE)
    )


def _by_torch() -> bool:
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "autograd"):
        return False
    return bool(torch._C._len_torch_dispatch_stack() or torch.autograd._profiler_enabled())


def _by_jax() -> bool:
    jax: Any = sys.modules["jax"]
    profiler: Any = sys.modules.get("jax._src.profiler")
    state = getattr(profiler, "_profile_state", None)
    settings = ("jax_log_compiles", "jax_explain_cache_misses", "jax_debug_nans", "jax_debug_infs")
    return getattr(state, "profile_session", None) is not None or any(
        getattr(jax.config, name, False) for name in settings
    )
