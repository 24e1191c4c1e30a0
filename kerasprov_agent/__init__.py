"""Records what a Keras training did, without a line of its code changing.

Importing this package arms it: when the program imports Keras, a few methods are wrapped and
what they do is recorded. ``KERASPROV_DISABLED=1`` makes the import do nothing at all.
"""

from __future__ import annotations

import sys

from kerasprov_agent import clock, guard, import_hook, settings
from kerasprov_agent.tracing import watching, worker

__all__ = ["__version__", "start", "stop"]
__version__ = "0.1.0"

PACKAGES = ("keras", "tf_keras", "keras_tuner")
"""What is instrumented once the program has imported it."""
SPAWNING = (
    "multiprocessing.popen_fork",
    "multiprocessing.spawn",
    "loky.backend.spawn",
    "joblib.externals.loky.backend.spawn",
)
"""What starts children of this process that are to be armed too; joblib has a loky of its own."""


def start() -> None:
    """Arm the agent; done by the import itself, and again after `stop`. Twice is once."""
    if settings.disabled():
        return
    clock.start()
    guard.reset()
    settings.remember_start_directory()
    hooks = dict.fromkeys(PACKAGES, _instrument) | dict.fromkeys(SPAWNING, _equip)
    watching.wake = worker.start
    worker.watch_forks()
    watching.start()
    import_hook.watch(hooks)


def stop() -> None:
    """Restore the uninstrumented process and end the record of this execution.

    A wrapper that lies under another tool's cannot be taken out; it is switched off instead.
    """
    import_hook.unwatch()
    for name, act in (("hooks", "remove"), ("children", "remove"), ("process", "finish")):
        module = sys.modules.get(f"{__name__}.{name}")
        if module is not None:
            guard.always(getattr(module, act))
    watching.stop()


def _instrument(package: object) -> None:
    from kerasprov_agent import hooks

    hooks.install(package)


def _equip(spawn: object) -> None:
    from kerasprov_agent import children

    children.watch(spawn)


start()
