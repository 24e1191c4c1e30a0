"""Run any pytest suite without and with the agent armed, and print every test that differs.

    python benchmarks/transparency/suite.py [--directory CHECKOUT] [--python PYTHON] PYTEST-ARGS…

For Keras' own suite, which its package brings along:

    KERAS_BACKEND=jax python benchmarks/transparency/suite.py --pyargs keras.src.callbacks

Armed means that `sitecustomize_example/` is on PYTHONPATH, so that children are too. A test that
differs is run again both ways, three times; it is reported if the agent makes the difference, and
counted as unsteady if it comes out differently without the agent as well.
"""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parents[2]
AGAIN = 3

Outcomes = dict[str, str]


def run(
    python: str, directory: Path | None, arguments: list[str], database: Path | None
) -> Outcomes:
    """Run the suite; returns the outcome of each test."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("KERASPROV_")}
    if database is None:
        variables["KERASPROV_DISABLED"] = "1"
    else:
        path = [str(ROOT / "sitecustomize_example"), str(ROOT)]
        path += [variables["PYTHONPATH"]] if variables.get("PYTHONPATH") else []
        variables["PYTHONPATH"] = os.pathsep.join(path)
        variables.update(KERASPROV_DB=str(database), KERASPROV_PROV="off")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                python,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *arguments,
                f"--junitxml={report}",
            ],
            cwd=directory,
            env=variables,
            capture_output=True,
            text=True,
        )
        if not report.exists():
            raise SystemExit(f"pytest did not get to run:\n{done.stdout}\n{done.stderr}")
        return outcomes(report)


def outcomes(report: Path) -> Outcomes:
    """The outcome of each test in a JUnit report."""
    found: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        # Names made of a function's repr carry its address.
        name = re.sub(r"0x[0-9a-f]+", "0x", f"{case.get('classname')}::{case.get('name')}")
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found[name] = kinds[0] if kinds else "passed"
    return found


def summary(found: Outcomes) -> str:
    """How many tests came out in which way."""
    kinds = list(found.values())
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))


def recorded(database: Path) -> str:
    """What the record has of the armed run."""
    if not database.exists():
        return "nothing recorded"
    connection = sqlite3.connect(database)
    counts = [
        f"{connection.execute(f'SELECT count(*) FROM {table}').fetchone()[0]} {table}s"
        for table in ("execution", "run", "epoch", "evaluation")
    ]
    unended = connection.execute("SELECT count(*) FROM run WHERE status = 'running'").fetchone()[0]
    connection.close()
    return ", ".join(counts) + (f", {unended} runs whose end was not seen" if unended else "")


def main() -> int:
    """Compare; the exit status is 1 where the agent makes a difference."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, help="where to run pytest")
    parser.add_argument("--python", default=sys.executable)
    options, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "kerasprov.db"

        def plain(*names: str) -> Outcomes:
            return run(options.python, options.directory, [*arguments, *names], None)

        def armed(*names: str) -> Outcomes:
            return run(options.python, options.directory, [*arguments, *names], database)

        without = plain()
        print(f"without: {summary(without)}", flush=True)
        with_agent = armed()
        print(f"with:    {summary(with_agent)}; {recorded(database)}", flush=True)
        names = sorted(without.keys() | with_agent.keys())
        differing = [n for n in names if without.get(n) != with_agent.get(n)]
        seen = {n: ({without.get(n)}, {with_agent.get(n)}) for n in differing}
        tests = {name.rpartition("::")[2].partition("[")[0] for name in differing}
        only = ("-k", " or ".join(sorted(tests)))
        for _ in range(AGAIN if differing else 0):
            again, armed_again = plain(*only), armed(*only)
            for name in differing:
                seen[name][0].add(again.get(name))
                seen[name][1].add(armed_again.get(name))
        unsteady = [n for n, (bare, ours) in seen.items() if bare & ours]
        for name in unsteady:
            print(f"unsteady without the agent too, or seldom: {name} {seen[name]}")
        ours = [n for n in differing if n not in unsteady]
        for name in ours:
            print(f"DIFFERS {name}: {without.get(name)} without, {with_agent.get(name)} with")
        print(f"{len(names)} tests, {len(ours)} differ")
    return int(bool(ours))


if __name__ == "__main__":
    sys.exit(main())
