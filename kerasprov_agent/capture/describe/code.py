"""What was run: the script, module or notebook, its text, and the state of its git repository."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasprov_agent import redaction
from kerasprov_agent.capture.files import versions
from kerasprov_agent.kinds import is_a
from kerasprov_agent.store.text import as_bytes, exact

NOT_THE_PROGRAMS = ("kerasprov_agent", "sitecustomize", "usercustomize")
GIT_SECONDS = 10
"""git may take so long; it runs beside the training."""


def program(started_by_runner: dict[str, str]) -> dict[str, Any]:
    """What is being run: `kind`, `script` (path or module name), `arguments`.

    kind is script, module, directory, zip, notebook, interactive or command.
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    file = getattr(main, "__file__", None)
    kind, script = "interactive", None
    shell = None if file else _shell()
    if shell is not None:
        kind, script = _notebook(main, shell)
    elif started_by_runner:
        kind, script = started_by_runner["kind"], started_by_runner["target"]
        if kind == "script":
            file = script  # When a script has ended, its `__main__` has no `__file__` any more.
    elif spec is not None and spec.name != "__main__":
        kind, script = "module", spec.name.removesuffix(".__main__")
    elif file:
        path = versions.absolute(file)
        kind, script = "script", path
        if spec is not None:  # `python DIR` and `python ZIP`
            script = os.path.dirname(path)
            kind = "directory" if os.path.isdir(script) else "zip"
    elif sys.argv[:1] == ["-c"]:
        kind = "command"
    # The program may have put anything there by now.
    words = [] if kind in ("notebook", "interactive") else list(getattr(sys, "argv", ()))[1:]
    arguments = [exact(word) for word in words if is_a(word, str)]
    return {
        "kind": kind,
        "script": script,
        "arguments": redaction.arguments(arguments),
        "source_file": versions.absolute(file) if file else None,
    }


def _shell() -> Any:
    """IPython's shell; None where IPython was only imported, as Keras does."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def _notebook(main: Any, shell: Any) -> tuple[str, str | None]:
    """A kernel says which notebook it belongs to in one of two ways, or not at all."""
    if "Terminal" in type(shell).__name__:
        return "interactive", None
    path = getattr(main, "__vsc_ipynb_file__", None) or os.environ.get("JPY_SESSION_NAME")
    return "notebook", path


@dataclass(frozen=True)
class Source:
    """A text as it is stored, and what is known of the text as it was."""

    text: str
    original_sha256: str | None
    """Of the text as it was, where secrets were blanked out in it; None: it is stored as it was."""

    @property
    def sha256(self) -> str:
        """The hash of what is stored, by which it is found."""
        return hashlib.sha256(as_bytes(self.text)).hexdigest()

    def row(self) -> dict[str, Any]:
        """The row of the table `source`."""
        return {"sha256": self.sha256, "bytes": len(as_bytes(self.text)), "text": self.text}


def source(path: str | None, redact: bool) -> Source | None:
    """The text of a file of Python or of a notebook; None if it is none or can't be read."""
    if path is None or not path.endswith((".py", ".pyw", ".ipynb")):
        return None
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError):
        return None
    return text(content.decode("utf-8", "surrogateescape"), redact)


def text(content: str, redact: bool) -> Source:
    """A text as it is stored: with `redact`, secrets in it are blanked out."""
    stored = redaction.program(content) if redact else content
    if stored == content:
        return Source(content, None)
    return Source(stored, hashlib.sha256(as_bytes(content)).hexdigest())


def modules(known: Container[str], is_outside: Callable[[str], bool]) -> dict[str, str]:
    """The modules of the program's own that are not yet known, and their files.

    Looks into no module that would be loaded by that.
    """
    paths = {}
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    for name, module in sys.modules.copy().items():
        # By its type: what cffi and others put there says that it is a module, but is none.
        if name in known or name == "__main__" or not issubclass(type(module), ModuleType):
            continue
        path = ModuleType.__getattribute__(module, "__dict__").get("__file__")
        if is_a(path, str) and path.endswith(".py"):
            path = versions.absolute(path)
            if path == (main and versions.absolute(main)) or is_outside(path):
                continue  # the script itself has a place of its own
            if name.partition(".")[0] not in NOT_THE_PROGRAMS:
                paths[name] = path
    return paths


def cells() -> list[str]:
    """The cells of this notebook in the order in which they ran; In[0] is empty."""
    main = sys.modules.get("__main__")
    inputs = getattr(main, "In", None) if "IPython" in sys.modules else None
    return list(inputs) if is_a(inputs, list) else []


def git(directory: str, own: Sequence[str] = ()) -> dict[str, Any] | None:
    """The git repository that holds `directory`: `commit`, `branch`, `remote`, `dirty`, `diff`.

    Files whose absolute paths begin with one of `own`, as our database, are no changes. Returns
    None outside a repository or without git. Changes nothing, not even git's index.
    """
    top = _git(directory, "rev-parse", "--show-toplevel")
    status = _git(directory, "status", "--porcelain=v2", "-z", "--branch")
    if status is None or top is None:
        return None
    entries = status.split("\0")
    heads = dict(item[2:].split(" ", 1) for item in entries if item.startswith("# branch."))
    place = top.rstrip("\n")
    ours = tuple(
        os.path.join(os.path.realpath(os.path.dirname(item)), os.path.basename(item))
        for item in own
    )

    def is_ours(path: str) -> bool:
        whole = os.path.join(place, path)
        if whole.startswith(ours):
            return True
        if not whole.endswith("/") or not any(change.startswith(whole) for change in ours):
            return False
        # Of a folder that is all new, git names no files unless it is asked to.
        within = _git(place, "status", "--porcelain=v2", "-z", "-uall", "--", path) or ""
        return all(is_ours(change) for change in _changes(within.split("\0")).values())

    changes = _changes(entries)
    by_us = {line: path for line, path in changes.items() if is_ours(path)}
    tracked = [line for line in changes if line[0] in "12u" and line not in by_us]
    excluded = [f":(top,exclude,literal){path}" for path in by_us.values()]
    commit, branch = heads.get("branch.oid"), heads.get("branch.head")
    has_commit = commit not in (None, "(initial)")
    remote = _git(directory, "config", "--get", "remote.origin.url")
    diff = _git(directory, "diff", "HEAD", "--", ":(top)", *excluded) if tracked else None
    return {
        "commit": commit if has_commit else None,
        "branch": None if branch == "(detached)" else branch,
        "remote": redaction.text(remote.strip()) if remote else None,
        "dirty": len(by_us) < len(changes),
        "diff": diff if has_commit else None,
    }


PATH_AT = {"1": 8, "2": 9, "u": 10, "?": 1}
"""At which field of a line of `git status` the path begins, by the kind of line."""


def _changes(entries: Sequence[str]) -> dict[str, str]:
    """The lines in which git tells of a change, each with the path, below the top."""
    changes = {}
    is_origin = False
    for entry in entries:
        kind = entry[:1]
        if is_origin:  # the old path of a renamed file, by itself
            is_origin = False
        elif kind and kind in PATH_AT:
            changes[entry] = entry.split(" ", PATH_AT[kind])[-1]
            is_origin = kind == "2"
    return changes


def _git(directory: str, *arguments: str) -> str | None:
    # Given the bare name, subprocess sets and resets the filters of `warnings` to look it up: on
    # a thread of ours, it might undo what the program has set meanwhile.
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = (os.path.join(place, "git") for place in places if place)
    program = next((path for path in paths if os.access(path, os.X_OK)), None)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None
