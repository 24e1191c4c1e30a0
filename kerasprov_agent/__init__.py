"""Records what a Keras training did, without a line of its code changing.

Importing this package arms it: when the program imports Keras, a few methods are wrapped and
what they do is recorded. ``KERASPROV_DISABLED=1`` makes the import do nothing at all. The
command ``kerasprov`` only looks, and arms nothing.

To look at the record:

    open(path)                a database: runs, run, best, query, lineage, compare, sql
    last_run                  the run that was recorded last, with its curves in a notebook
    provenance(*runs)         the W3C PROV document of runs, as a `prov.model.ProvDocument`
    write_provenance(path)    the same into a file: JSON, PROV-N, Turtle, a picture, ...

To tell more, or less:

    activity(name)            a step of your own, in a `with` or as a decorator
    tag(name, fold=3)         a name and tags for the runs that follow, or in a `with`
    stop(), start()           take the agent out of this process; put it back
"""

from __future__ import annotations

import sys

from kerasprov_agent import clock, guard, settings
from kerasprov_agent.capture import import_hook, lifetime
from kerasprov_agent.capture.session import session
from kerasprov_agent.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kerasprov_agent.capture.steps import Activity
    from kerasprov_agent.capture.tags import Tagged
    from kerasprov_agent.documents import provenance, write_provenance
    from kerasprov_agent.read.notebook import Run
    from kerasprov_agent.read.notebook import open as open

    last_run: Run

__all__ = [
    "__version__",
    "activity",
    "provenance",
    "start",
    "stop",
    "tag",
    "write_provenance",
]

PACKAGES = ("keras", "tf_keras", "keras_tuner")
"""What is instrumented once the program has imported it."""
DATA_PACKAGES = (
    "numpy", "pandas", "pyarrow.parquet", "pyarrow.csv", "pyarrow.feather", "polars", "h5py", "cv2",
    "PIL.Image", "imageio", "imageio.v2", "imageio.v3", "skimage.io", "matplotlib.image",
    "scipy.io", "scipy.io.wavfile", "soundfile", "joblib", "tensorflow",
    "sklearn.model_selection",
)  # fmt: skip
"""Whose readers and writers of files are followed."""
SPAWNING = (
    "multiprocessing.popen_fork",
    "multiprocessing.spawn",
    "loky.backend.spawn",
    "joblib.externals.loky.backend.spawn",
)
"""What starts children of this process that are to be armed too; joblib has a loky of its own."""
LOOKING = {
    "open": "read.notebook", "provenance": "documents", "write_provenance": "documents",
}  # fmt: skip
"""Functions for whoever looks at the record, and the modules they are in."""


def start() -> None:
    """Arm the agent; done by the import itself, and again after `stop`. Twice is once."""
    if settings.disabled():
        return
    clock.start()
    guard.reset()
    settings.remember_start_directory()
    lifetime.watch_forks()
    session.watch_last()
    session.watch.start(session.worker.start)
    hooks = dict.fromkeys(PACKAGES, _instrument) | dict.fromkeys(SPAWNING, _equip)
    import_hook.watch(hooks | dict.fromkeys(DATA_PACKAGES, _follow))


def stop() -> None:
    """Restore the uninstrumented process and end the record of this execution.

    A wrapper that lies under another tool's cannot be taken out; it is switched off instead.
    """
    guard.always(_stop)


def _stop() -> None:
    guard.always(import_hook.unwatch)
    lifetime.stopping()
    session.watch.stop()


def activity(name: str, inputs: Any = None, outputs: Any = None, **attributes: Any) -> Activity:
    """A step of your own, such as an augmentation: in a `with`, or as a decorator.

    `inputs` and `outputs` are paths, arrays or frames, one or several; where they are not given,
    they are the files that the step reads and writes. `attributes` are stored with it. Optional:
    what Keras does, and what is read and written, is recorded without.

        with kerasprov_agent.activity("augment", inputs=x, outputs="more.npz", factor=3):
            ...
    """
    from kerasprov_agent.capture.steps import Activity

    return Activity(name, inputs, outputs, attributes)


def tag(name: str | None = None, /, **tags: Any) -> Tagged:
    """Give the runs that follow a name and tags; within a `fit`, that run. Optional.

    They hold until they are said anew, or for what is within a `with`. `None` takes a tag out.
    Several runs of one name are numbered. `KERASPROV_NAME` and `KERASPROV_TAGS` say the same for a
    whole program.

        for fold in range(5):
            kerasprov_agent.tag("study", fold=fold)
            model.fit(...)
    """
    from kerasprov_agent.capture import tags as of_runs

    return of_runs.say(name, tags)


def __getattr__(name: str) -> Any:
    """What looks at the record is imported when it is used: a training needs none of it."""
    if name == "last_run":
        from kerasprov_agent.read import notebook

        return notebook.last_run()
    module = LOOKING.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{module}"), name)


def _instrument(package: object) -> None:
    from kerasprov_agent.capture import hooks

    hooks.install(package)


def _equip(spawn: object) -> None:
    from kerasprov_agent.capture import children

    children.watch(spawn)


def _follow(module: object) -> None:
    from kerasprov_agent.capture.origins import readers, writers

    readers.install(module)
    writers.install(module)


def _is_command() -> bool:
    """Whether this package is imported for the command `kerasprov`, which only looks."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        is_import = frame.f_code.co_filename.startswith("<frozen importlib")
        if is_import and str(frame.f_locals.get("name")).startswith(f"{__name__}.cli"):
            return True
        frame = frame.f_back if is_import or frame.f_globals is globals() else None
    return False


if not _is_command():
    start()
