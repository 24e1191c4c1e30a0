"""Functions by which programs write data to files: the file comes from what the data came from."""

from __future__ import annotations

import os
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture import origins
from kerasprov_agent.capture.describe import tf_data
from kerasprov_agent.capture.files import paths
from kerasprov_agent.capture.files.watching import watch
from kerasprov_agent.capture.patching import functions
from kerasprov_agent.kinds import is_a

ENDINGS = {"save": ".npy", "savez": ".npz", "savez_compressed": ".npz"}
"""What numpy adds to a name that does not end so."""
FRAME_METHODS = (
    "to_csv", "to_parquet", "to_pickle", "to_feather", "to_json", "to_excel", "to_hdf", "to_orc",
    "to_stata",
)  # fmt: skip


def install(module: Any) -> None:
    """Wrap the writers of a module that was imported."""
    name = module.__name__
    if name == "numpy":
        for function in ("save", "savez", "savez_compressed", "savetxt"):
            guard.call(functions.apply, module, function, _before_numpy, _written)
    elif name == "pandas":
        for owner in (module.DataFrame, module.core.generic.NDFrame):
            for function in FRAME_METHODS:
                guard.call(functions.apply, owner, function, _before_method, _written)
    elif name == "cv2":
        guard.call(functions.apply, module, "imwrite", _before_numpy, _written)
    elif name == "PIL.Image":
        guard.call(functions.apply, module.Image, "save", _before_picture, _written)
    elif name == "h5py":
        guard.call(functions.apply, module.Group, "create_dataset", _before_part, _written)
        guard.call(functions.apply, module.Group, "__setitem__", _before_part, _written)
    elif name == "tensorflow":
        guard.call(_tensorflow, module)


Token = tuple[str, list[origins.Origin]]


def _token(path: Any, data: Any, ending: str = "") -> Token | None:
    """The path, and where the data came from, before it is written."""
    resolved = paths.path_of(path)
    if resolved is None or watch.is_quiet():
        return None
    if ending and is_a(path, (str, os.PathLike)) and not resolved.endswith(ending):
        resolved += ending
    return resolved, origins.of(data)


def _before_numpy(function: Any, args: Any, kwargs: Any) -> Token | None:
    path = args[0] if args else kwargs.get("file", kwargs.get("fname"))
    data = [*args[1:], *(value for name, value in kwargs.items() if name not in ("file", "fname"))]
    return _token(path, data, ENDINGS.get(function.__name__, ""))


def _before_method(_function: Any, args: Any, kwargs: Any) -> Token | None:
    named = (kwargs.get(name) for name in ("path_or_buf", "path", "excel_writer"))
    path = args[1] if len(args) > 1 else next((value for value in named if value is not None), None)
    return _token(path, args[0])


def _before_picture(_function: Any, args: Any, kwargs: Any) -> Token | None:
    from kerasprov_agent.capture.origins import pictures

    path = paths.path_of(args[1] if len(args) > 1 else kwargs.get("fp"))
    file = pictures.file_of(args[0])
    if path is None or file is None:
        return None
    return path, [origins.Origin((file,), origins.SAME_BUFFER)]


def _before_part(_function: Any, args: Any, kwargs: Any) -> Token | None:
    group, *given = args
    data = kwargs.get("data", given[-1] if len(given) > 1 else None)
    return _token(group.file.filename, data)


def _written(token: Token, _result: Any, exc: BaseException | None) -> None:
    path, sources = token
    if exc is None and sources:
        watch.note_origins(path, sources)


def _tensorflow(module: Any) -> None:
    """TensorFlow's own files, which Python does not see."""
    from kerasprov_agent.capture.origins import tfrecords

    functions.apply(module.io, "write_file", _before_write_file, _written_whole)
    functions.apply(module.io.gfile, "copy", _before_copy, _copied)
    functions.apply(module.io.gfile, "rename", _before_copy, _renamed)
    tfrecords.install(module)


def _before_write_file(_function: Any, args: Any, kwargs: Any) -> Token | None:
    from kerasprov_agent.capture.origins import tfrecords

    name, contents = (*args, *(kwargs[key] for key in ("filename", "contents") if key in kwargs))[
        :2
    ]
    path = tf_data.path_of(name)
    if path is None or watch.is_quiet():
        return None
    content = contents.numpy() if hasattr(contents, "numpy") else contents
    sources = guard.attempt(tfrecords.of_content, content) if is_a(content, bytes) else None
    return path, sources or []


def _written_whole(token: Token, _result: Any, exc: BaseException | None) -> None:
    if exc is None:
        watch.note_origins(*token)


def _before_copy(_function: Any, args: Any, kwargs: Any) -> tuple[str, str] | None:
    given = (*args, *(kwargs[key] for key in ("src", "dst") if key in kwargs))[:2]
    source, target = map(tf_data.path_of, given)
    return None if source is None or target is None else (source, target)


def _copied(token: tuple[str, str], _result: Any, exc: BaseException | None) -> None:
    source, target = token
    if exc is None and not watch.is_quiet():
        watch.note(source)
        origin = origins.Origin(origins.files_of(source), origins.CONTENT_MATCH)
        watch.note_origins(target, [origin])


def _renamed(token: tuple[str, str], _result: Any, exc: BaseException | None) -> None:
    if exc is None:
        watch.note_renamed(*token)
