"""The job of several processes that this one belongs to, as its launcher tells it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.store.text import as_bytes

LAUNCHERS = (
    # what the job is called after, variables that tell it apart, rank, number of processes
    ("launcher", ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"), "RANK", "WORLD_SIZE"),
    ("mpi", ("PMIX_NAMESPACE",), "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpi", ("PMI_ID", "PMI_JOBID"), "PMI_RANK", "PMI_SIZE"),
    ("slurm", ("SLURM_JOB_ID", "SLURM_STEP_ID"), "SLURM_PROCID", "SLURM_NTASKS"),
)
TRAINING_TASKS = ("chief", "master", "worker")


def job(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The columns `job`, `rank`, `world_size` and `role`; nothing for a process by itself.

    From `TF_CONFIG`, JAX's distributed runtime where the program has started it, the variables of
    torchrun, MPI and Slurm, and KerasTuner's.
    """
    environ = os.environ if environ is None else environ
    for ask in (_tensorflow, _jax, _launcher, _tuner):
        facts: dict[str, Any] | None = guard.attempt(ask, environ)
        if facts:
            return facts
    return {}


def _tensorflow(environ: Mapping[str, str]) -> dict[str, Any] | None:
    if not environ.get("TF_CONFIG"):
        return None
    config = json.loads(environ["TF_CONFIG"])
    cluster, task = config.get("cluster") or {}, config.get("task") or {}
    if not cluster:
        return None
    tasks = [(role, i) for role in TRAINING_TASKS for i in range(len(cluster.get(role, ())))]
    role, index = task.get("type"), task.get("index")
    own = (role, int(index)) if index is not None else None
    return {
        "job": f"tensorflow-{_digest(json.dumps(cluster, sort_keys=True))}",
        "rank": tasks.index(own) if own in tasks else None,
        "world_size": sum(map(len, cluster.values())),
        "role": role,
    }


def _jax(_environ: Mapping[str, str]) -> dict[str, Any] | None:
    module = sys.modules.get("jax._src.distributed")
    state = getattr(module, "global_state", None)
    address = getattr(state, "coordinator_address", None)
    if state is None or not address or getattr(state, "client", None) is None:
        return None
    return {
        "job": f"jax-{address}",
        "rank": state.process_id,
        "world_size": state.num_processes,
        "role": None,
    }


def _launcher(environ: Mapping[str, str]) -> dict[str, Any] | None:
    for name, identifying, rank, size in LAUNCHERS:
        if environ.get(rank, "").isdecimal() and environ.get(size, "").isdecimal():
            parts = [environ[variable] for variable in identifying if environ.get(variable)]
            return {
                "job": "-".join([name, *parts]),
                "rank": int(environ[rank]),
                "world_size": int(environ[size]),
                "role": environ.get("ROLE_NAME"),
            }
    return None


def _tuner(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """KerasTuner's chief and workers, which have names but no ranks."""
    address, name = environ.get("KERASTUNER_ORACLE_IP"), environ.get("KERASTUNER_TUNER_ID")
    if not address or not name:
        return None
    port = environ.get("KERASTUNER_ORACLE_PORT", "")
    return {
        "job": f"keras_tuner-{address}-{port}",
        "rank": None,
        "world_size": None,
        "role": name,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(as_bytes(text)).hexdigest()[:12]
