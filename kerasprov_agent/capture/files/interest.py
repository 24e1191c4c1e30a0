"""Which files are of interest: the user's, not those of Python, packages, tools or the system."""

from __future__ import annotations

import os
import sys

DATA_CACHES = ("huggingface", "kagglehub", "torch", "tensorflow_datasets")
"""Of the caches below ~/.cache these hold data and models."""
CODE = (".py", ".pyc", ".pyi", ".pyw", ".so", ".pyd", ".dll", ".dylib", ".pth", ".ipynb", ".egg")
SYSTEM = (
    "/proc/", "/sys/", "/dev/", "/run/", "/etc/", "/usr/share/", "/usr/lib/", "/lib/",
    "/var/cache/",
)  # fmt: skip
OF_TOOLS = ("/pyproject.toml", "/setup.cfg", "/keras.json", "/matplotlibrc", "/setup.py")
"""Read by us and by tools in each program."""


class Interest:
    """Tells files of interest by their paths; made when the agent is armed."""

    def __init__(self) -> None:
        home = os.path.expanduser("~")
        self._outside = _outside(home)
        self._caches = os.path.join(home, ".cache", "")

    def is_outside(self, path: str) -> bool:
        """Whether a path belongs to the interpreter, its packages or the system."""
        return path.startswith(self._outside)

    def holds(self, path: str) -> bool:
        """Whether a file with this path is recorded."""
        if path.startswith(self._outside) or path.endswith(CODE) or path.endswith(OF_TOOLS):
            return False
        caches = self._caches
        if path.startswith(caches) and not path[len(caches) :].startswith(DATA_CACHES):
            return False
        return "/.git/" not in path and "__pycache__" not in path


def _outside(home: str) -> tuple[str, ...]:
    """Where the interpreter, its packages, the system and settings of tools lie."""
    directories = {
        sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix,
        os.path.dirname(os.__file__),
        *(path for path in sys.path if path.endswith(("site-packages", "dist-packages"))),
        *(os.path.join(home, name) for name in (
            ".config", ".matplotlib", ".ipython", ".jupyter", ".nv", ".local/lib",
            ".local/share/jupyter",
        )),
    } - {"", "/", "/usr", home}  # fmt: skip
    return (*sorted(os.path.join(directory, "") for directory in directories), *SYSTEM)
