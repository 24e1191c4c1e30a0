"""Graphviz draws, where it is installed."""

from __future__ import annotations

import shutil
import subprocess

from kerasprov_agent.errors import KerasProvError


def render(dot: str, kind: str) -> bytes:
    """An `svg` or `png` of a picture in DOT; raises `KerasProvError` where there is no Graphviz."""
    program = shutil.which("dot")
    if program is None:
        raise KerasProvError(
            "Graphviz, which draws, is not installed (its command is `dot`: apt install graphviz, "
            "brew install graphviz); --format dot writes the picture for it"
        )
    try:
        done = subprocess.run(
            [program, f"-T{kind}"], input=dot.encode(), capture_output=True, check=False
        )
    except OSError as exc:
        raise KerasProvError(f"{program} can't be run: {exc.strerror}") from exc
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        reason_given = reason[0] if reason else f"it ended with status {done.returncode}"
        raise KerasProvError(
            f"Graphviz could not draw ({reason_given}); --format dot writes the picture without it"
        )
    return done.stdout
