"""Where a program runs: host, process, Python, Keras, backend, packages, devices."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from kerasprov_agent import identity, redaction

ENVIRONMENT_PREFIXES = (
    "CUDA_", "HIP_", "JAX_", "KERASPROV_", "KERAS_", "MKL_", "NCCL_", "NVIDIA_", "OMP_",
    "OPENBLAS_", "PYTORCH_", "ROCR_", "SLURM_", "TF_", "TORCH_", "XLA_",
)  # fmt: skip
OF_TERRAFORM = (
    "TF_CLI_", "TF_DATA_DIR", "TF_IGNORE", "TF_IN_AUTOMATION", "TF_INPUT", "TF_LOG", "TF_PLUGIN_",
    "TF_REGISTRY_", "TF_STATE_", "TF_TOKEN_", "TF_VAR_", "TF_WORKSPACE",
)  # fmt: skip
"""Variables of another program that begin as those of TensorFlow do."""
ENVIRONMENT_NAMES = frozenset(
    ("RANK", "LOCAL_RANK", "WORLD_SIZE", "PYTHONHASHSEED", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV")
)
LINUX = sys.platform == "linux"


def user() -> str | None:
    """The login name, None where the system has none for us (as in some containers)."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        return None


def environment() -> dict[str, str]:
    """The variables that steer a training, by an allow-list of names."""
    return {
        name: redaction.REDACTED if redaction.is_secret(name) else redaction.text(value)
        for name, value in sorted(os.environ.items())
        if name in ENVIRONMENT_NAMES
        or (name.startswith(ENVIRONMENT_PREFIXES) and not name.startswith(OF_TERRAFORM))
    }


def packages() -> dict[str, str]:
    """All installed packages and their versions, from the names of their metadata folders.

    The folders' names hold both; reading the metadata itself takes a hundred times longer.
    """
    versions: dict[str, str] = {}
    for entry in sys.path:
        try:
            names = os.listdir(entry or os.curdir)
        except OSError:
            continue
        for name in names:
            stem, _, suffix = name.rpartition(".")
            if suffix in ("dist-info", "egg-info"):
                package, _, rest = stem.partition("-")
                version = rest.partition("-py")[0] if suffix == "egg-info" else rest
                if package and version:
                    versions.setdefault(package.replace("_", "-").lower(), version)
    return dict(sorted(versions.items()))


def keras(module: Any) -> dict[str, Any]:
    """The Keras in use: package, version, backend and its version."""
    package = module.__name__
    name = "tensorflow"
    if hasattr(module, "backend") and callable(getattr(module.backend, "backend", None)):
        name = module.backend.backend()
    library = sys.modules.get({"openvino": "openvino"}.get(name, name))
    version = getattr(library, "__version__", None)
    return {
        "keras_package": package,
        "keras_version": getattr(module, "__version__", None),
        "backend": name,
        "backend_version": version if isinstance(version, str) else None,
    }


def processor() -> str | None:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return (platform.machine() if LINUX else platform.processor()) or None


def system() -> str:
    """The system, its release, architecture and C library, as `platform.platform` puts it.

    That starts `uname -p`. subprocess then sets the filters of `warnings` for a moment, which on
    a thread of ours could undo what the program sets meanwhile.
    """
    if not LINUX:
        return platform.platform()
    names = os.uname()
    library = "".join(platform.libc_ver())
    parts = (names.sysname, names.release, names.machine, *(("with", library) if library else ()))
    return "-".join(parts)


def cpus() -> int | None:
    """How many CPUs this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count()


def gpus(backend: str | None) -> list[str] | None:
    """The GPUs that the backend sees, by name; asked only once a training has begun.

    Returns None where the backend can't be asked.
    """
    library: Any = sys.modules.get(backend or "")
    if library is None:
        return None
    if backend == "tensorflow":
        devices = library.config.list_physical_devices("GPU")
        details = [library.config.experimental.get_device_details(device) for device in devices]
        return [
            str(detail.get("device_name", device.name))
            for detail, device in zip(details, devices, strict=True)
        ]
    if backend == "jax":
        return [d.device_kind for d in library.local_devices() if d.platform != "cpu"]
    if backend == "torch":
        if not library.cuda.is_available():
            return []
        return [library.cuda.get_device_name(i) for i in range(library.cuda.device_count())]
    return None


def facts() -> dict[str, Any]:
    """Everything about the machine and the process that is known without asking a device."""
    return {
        "user": user(),
        "host": identity.host(),
        "pid": os.getpid(),
        "process": identity.process_key(),
        "python": platform.python_version(),
        "platform": system(),
        "cpu": processor(),
        "cpu_count": cpus(),
        "environment": environment(),
    }
