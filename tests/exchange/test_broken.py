"""Files that are broken in whatever way: taken in, or refused in one line; never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.conftest import kerasprov
from tests.exchange import ancestors

WHOLE = {
    "spaces.sql": ancestors.dump(),
    "bars.sql": ancestors.dump("|"),
    "document.json": ancestors.document(),
    "log.csv": 'epoch,accuracy,loss\n0,0.5,NA\n1,0.6,0.3\n0,0.1,"[1, 2]"\n',
}
PIECES = (
    b"NULL",
    b'"null"',
    b"[]",
    b"{}",
    b"-1",
    b"1e999",
    b"NaN",
    b'"',
    b"\n",
    b"\0",
    b"|",
    b"\xff",
)


def broken(content: bytes, chance: random.Random) -> bytes:
    """A file after a few bytes were lost, doubled or replaced."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found))
        end = at + chance.randint(1, 60)
        kind = chance.randrange(5)
        if kind == 0:
            del found[at:end]
        elif kind == 1:
            found[at:at] = found[at:end]
        elif kind == 2:
            found = found[:at] or bytearray(b"x")
        else:
            found[at : end if kind == 3 else at + 1] = chance.choice(PIECES)
    return bytes(found)


@pytest.mark.parametrize("name", WHOLE)
def test_broken_files(name: str, tmp_path: Path) -> None:
    outcomes = set()
    for seed in range(40):
        path, database = tmp_path / name, tmp_path / f"{seed}.db"
        path.write_bytes(broken(WHOLE[name].encode(), random.Random(seed)))
        done = kerasprov("import", path, "--db", database)
        lines = done.stderr.count("\n")
        assert (done.exit_code, lines) in ((0, 0), (2, 1)), (seed, done.output, done.exc_info)
        outcomes.add(done.exit_code)
        if done.exit_code:
            assert not database.exists()
        else:
            for words in (("runs",), ("show",), ("prov", "--all", "--format", "provn")):
                looked = kerasprov(*words, "--db", database)
                assert looked.exit_code in (0, 2), (seed, words, looked.exc_info)
    assert outcomes == {0, 2}
