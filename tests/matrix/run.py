"""Try the features in every environment: `python tests/matrix/run.py [NAME…]`.

Virtual environments are made once and kept in `KERASPROV_ENVIRONMENTS`, by default
`~/.cache/kerasprov_agent/environments`. `--write` writes `docs/coverage.md`; without it the run
fails where that document says something else, or anything that was tried failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.matrix.environments import ENVIRONMENTS, Environment  # noqa: E402

OURS = (
    "wrapt>=1.14",
    "prov>=3.2.3",
    "sqlite-utils>=4",
    "click>=8.3",
    "rich>=13.3.4",
    "markdown-it-py>=2.2",
)
AT_ONCE = 2
COVERAGE = ROOT / "docs" / "coverage.md"
HEAD = """# What is captured where

Written by `python tests/matrix/run.py --write`: each mark is a real training of a few epochs in
that environment, whose recorded values were compared with what the program itself saw. A word in
place of the mark says what that Keras or backend has not got; what a version lacks is skipped by
itself, with one line on the logger `kerasprov_agent` at DEBUG.

"""
TAIL = """
The GPU columns were **not tried on a GPU**: `tests/test_gpu.py` tries them with a stand-in for NVML that
answers as its documentation says. KerasTuner, scikit-learn's wrappers and mlflow are tried in
`tests/callers/`, jobs of several processes in `tests/process/`.
"""


def environment_directory(environment: Environment) -> Path:
    """The place of a virtual environment: another one for other packages or another Python."""
    home = os.environ.get("KERASPROV_ENVIRONMENTS", "~/.cache/kerasprov_agent/environments")
    key = json.dumps([environment.packages, OURS, sys.version_info[:2]])
    name = environment.name.lower().replace(", ", "-").replace(" ", "-")
    return Path(home).expanduser() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def prepare(environment: Environment) -> Path:
    """Make a virtual environment unless it is there; returns its Python."""
    directory = environment_directory(environment)
    python = directory / "bin" / "python"
    done = directory / "complete"
    if not done.exists():
        if shutil.which("uv"):  # takes seconds where pip takes a minute
            make = ["uv", "venv", "--quiet", "--clear", "--python", sys.executable, directory]
            subprocess.run(make, check=True)
            install = ["uv", "pip", "install", "--quiet", "--python", python]
        else:
            venv.create(directory, clear=True, with_pip=True)
            install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *environment.packages, *OURS], check=True)
        done.touch()
    return python


def try_features(environment: Environment) -> dict[str, Any]:
    """Run the features; returns versions and outcomes."""
    python = prepare(environment)
    variables = {
        **{k: v for k, v in os.environ.items() if not k.startswith("KERASPROV_")},
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        **environment.variables,
    }
    done = subprocess.run(
        [python, ROOT / "tests/matrix/features.py"], env=variables, capture_output=True, text=True
    )
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise SystemExit(f"{environment.name}: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    failed = [name for name, outcome in found["features"].items() if outcome == "FAILED"]
    if failed:
        print(done.stderr[-6000:])
        print(f"{environment.name}: FAILED {failed}")
    found["failed"] = bool(failed)
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """The document: a row a feature, a column an environment."""
    names = list(found)
    features = list(next(iter(found.values()))["features"])
    rows = [["", *names], ["---", *[":-:"] * len(names)]]
    for feature in features:
        outcomes = [found[name]["features"][feature] for name in names]
        rows.append([feature, *("✓" if one == "recorded" else one for one in outcomes)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return HEAD + "\n".join(lines) + "\n" + TAIL


def main() -> int:
    """Try what was asked for; the exit status tells whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="environments by name; all if none is given")
    parser.add_argument("--write", action="store_true", help=f"write {COVERAGE.name}")
    arguments = parser.parse_args()
    wanted = [one for one in ENVIRONMENTS if not arguments.names or one.name in arguments.names]
    for environment in wanted:
        if not environment.usable:
            print(f"{environment.name}: left out, has no packages for this Python")
    usable = [one for one in wanted if one.usable]
    found: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:  # while one is installed, another one is tried
        for environment, tried in zip(usable, pool.map(try_features, usable), strict=True):
            found[environment.name] = tried
            recorded = list(tried["features"].values()).count("recorded")
            print(f"{environment.name}: {tried['versions']} {recorded} recorded", flush=True)
    failed = any(one["failed"] for one in found.values())
    if len(found) == len(ENVIRONMENTS):
        if arguments.write:
            COVERAGE.write_text(table(found), encoding="utf-8")
        elif COVERAGE.read_text(encoding="utf-8") != table(found):
            print("docs/coverage.md says otherwise; write it anew with --write")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
