"""The versions of Keras and the backends that are tried, a virtual environment each."""

from __future__ import annotations

import sys
from typing import NamedTuple


class Environment(NamedTuple):
    """What is installed, and how Keras is chosen in it."""

    name: str
    packages: tuple[str, ...]
    variables: dict[str, str]
    newest_python: tuple[int, int] = (3, 13)

    @property
    def usable(self) -> bool:
        """Whether its packages exist for this Python."""
        return sys.version_info[:2] <= self.newest_python


JAX = {"KERAS_BACKEND": "jax"}
TORCH = {"KERAS_BACKEND": "torch"}
TENSORFLOW = {"KERAS_BACKEND": "tensorflow"}
LEGACY = {"KERAS_PACKAGE": "tf_keras", "TF_USE_LEGACY_KERAS": "1"}

ENVIRONMENTS = (
    Environment("Keras, TensorFlow", ("tensorflow>=2.21", "keras>=3.15"), TENSORFLOW),
    Environment("Keras, JAX", ("keras>=3.15", "jax"), JAX),
    Environment("Keras, torch", ("keras>=3.15", "torch==2.13.0"), TORCH),
    Environment(
        "Keras 3.10, TensorFlow",
        ("tensorflow==2.19.1", "keras==3.10.0"),
        TENSORFLOW,
        newest_python=(3, 12),
    ),
    Environment(
        "Keras 3.3, TensorFlow",
        ("tensorflow==2.16.2", "keras==3.3.3", "numpy<2", "setuptools<80"),
        TENSORFLOW,
        newest_python=(3, 12),
    ),
    Environment(
        "Keras 3.3, JAX",
        ("keras==3.3.3", "jax==0.4.30", "jaxlib==0.4.30", "numpy<2", "packaging"),
        JAX,
        newest_python=(3, 12),
    ),
    Environment("tf_keras", ("tensorflow>=2.21", "tf_keras>=2.21"), LEGACY),
    Environment(
        "Keras 2.15",
        ("tensorflow==2.15.1", "numpy<2", "setuptools<80"),
        {"KERAS_PACKAGE": "keras"},
        newest_python=(3, 11),
    ),
)
