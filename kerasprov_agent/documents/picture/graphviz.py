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
    done = subprocess.run(
        [program, f"-T{kind}"], input=dot.encode(), capture_output=True, check=False
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise KerasProvError(
            f"Graphviz could not draw: {reason[0] if reason else 'no reason given'}"
        )
    return done.stdout
