"""Functions by which programs read data from files: what they return is known as from there.

Each is a row of a table: the module, the function, and what it returns.
"""

from __future__ import annotations

import os
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import tf_data
from kerasprov_agent.capture.files import paths
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.patching import functions

ARRAYS, PIECE, NOTED = "arrays", "piece", "noted"
"""Returns arrays or frames; one piece of data, such as an image; something that is not followed."""

READERS: dict[str, dict[str, tuple[str, ...]]] = {
    "numpy": {ARRAYS: ("load", "loadtxt", "genfromtxt", "fromfile")},
    "pandas": {
        ARRAYS: (
            "read_csv", "read_table", "read_parquet", "read_feather", "read_pickle", "read_json",
            "read_excel", "read_hdf", "read_fwf", "read_orc", "read_sas", "read_stata",
        )
    },
    "pyarrow.parquet": {NOTED: ("read_table", "ParquetFile", "read_pandas")},
    "pyarrow.csv": {NOTED: ("read_csv",)},
    "pyarrow.feather": {ARRAYS: ("read_feather",), NOTED: ("read_table",)},
    "polars": {NOTED: ("read_csv", "read_parquet", "read_ipc", "scan_csv", "scan_parquet")},
    "cv2": {PIECE: ("imread",)},
    "imageio": {PIECE: ("imread",)},
    "imageio.v2": {PIECE: ("imread",)},
    "imageio.v3": {PIECE: ("imread",)},
    "skimage.io": {PIECE: ("imread",)},
    "matplotlib.image": {PIECE: ("imread",)},
    "scipy.io": {ARRAYS: ("loadmat",)},
    "scipy.io.wavfile": {PIECE: ("read",)},
    "soundfile": {PIECE: ("read",)},
    "joblib": {ARRAYS: ("load",)},
}  # fmt: skip


def install(module: Any) -> None:
    """Wrap the readers of a module that was imported."""
    name = module.__name__
    for kind, names in READERS.get(name, {}).items():
        for function in names:
            guard.call(functions.apply, module, function, _before, _AFTER[kind])
    special = _SPECIAL.get(name)
    if special is not None:
        guard.call(special, module)


def _before(_function: Any, args: Any, kwargs: Any) -> str | None:
    """The path that is read, if it is one; a reader may also be given the text itself."""
    for given in (*args[:1], *kwargs.values()):
        path = paths.path_of(given)
        if path is not None and os.path.isfile(path):
            return path
    return None


def _arrays(path: str, result: Any, exc: BaseException | None) -> None:
    if exc is None and not watch.is_input_under_way():
        watch.note(path)
        origins.was_read(result, origins.files_of(path))


def _piece(path: str, result: Any, exc: BaseException | None) -> None:
    if exc is not None or watch.is_input_under_way():
        return
    watch.note(path)
    for array in origins.leaves(result):
        origins.piece_was_read(array, origins.files_of(path)[0])


def _noted(path: str, _result: Any, exc: BaseException | None) -> None:
    if exc is None:
        watch.note(path)


_AFTER: dict[str, functions.After] = {ARRAYS: _arrays, PIECE: _piece, NOTED: _noted}


def _numpy(module: Any) -> None:
    """The arrays of an npz file are read one by one."""
    npz = getattr(getattr(module.lib, "npyio", None), "NpzFile", None)
    if npz is not None:
        functions.apply(npz, "__getitem__", _before_member, _arrays)


def _before_member(_function: Any, args: Any, _kwargs: Any) -> str | None:
    archive = getattr(args[0], "zip", None)
    return paths.path_of(getattr(archive, "filename", None) or getattr(archive, "fp", None))


def _sklearn(module: Any) -> None:
    """`train_test_split` gives each array back in two parts."""
    functions.apply(module, "train_test_split", lambda _f, args, _k: args, _split)


def _split(args: Any, result: Any, exc: BaseException | None) -> None:
    if exc is None:
        for position, part in enumerate(result):
            origins.follows(part, args[position // 2])


def _h5py(module: Any) -> None:
    """h5py opens its files without Python's knowing, and reads parts of them."""
    functions.apply(module.File, "__init__", _before_file, _opened)
    functions.apply(module.Dataset, "__getitem__", _before_part, _arrays)


def _before_file(_function: Any, args: Any, kwargs: Any) -> tuple[str, bool] | None:
    path = paths.path_of(args[1] if len(args) > 1 else kwargs.get("name"))
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "r")
    return None if path is None else (path, mode != "r")


def _opened(token: tuple[str, bool], _result: Any, exc: BaseException | None) -> None:
    path, written = token
    if exc is None and not watch.is_quiet():
        watch.note(path, written, watch.input_under_way())


def _before_part(_function: Any, args: Any, _kwargs: Any) -> str | None:
    return None if watch.is_quiet() else paths.path_of(args[0].file.filename)


def _tensorflow(module: Any) -> None:
    """TensorFlow's own files; in a graph the path is a symbol, and not yet known."""
    from kerasprov_agent.capture.origins import pipelines

    functions.apply(module.io, "read_file", _before_eager, _noted)
    functions.apply(module.io.gfile.GFile, "__init__", _before_gfile, _opened)
    pipelines.install(module)


def _before_eager(_function: Any, args: Any, kwargs: Any) -> str | None:
    return tf_data.path_of(args[0] if args else kwargs.get("filename"))


def _before_gfile(_function: Any, args: Any, kwargs: Any) -> tuple[str, bool] | None:
    path = tf_data.path_of(args[1] if len(args) > 1 else kwargs.get("name"))
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "r")
    return None if path is None else (path, not {*"wa+"}.isdisjoint(mode))


def _pillow(module: Any) -> None:
    from kerasprov_agent.capture.origins import pictures

    pictures.install(module)


_SPECIAL = {
    "numpy": _numpy,
    "sklearn.model_selection": _sklearn,
    "h5py": _h5py,
    "tensorflow": _tensorflow,
    "PIL.Image": _pillow,
}
