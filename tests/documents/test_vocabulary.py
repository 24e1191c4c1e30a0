"""Each of our terms is defined, and each of those defined is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kerasprov_agent import documents
from kerasprov_agent.documents.terms import TERMS
from tests.conftest import ROOT
from tests.documents.programs import PROGRAMS, document

DEFINED = {name for _, _, terms in TERMS for name in terms}


@pytest.mark.slow
def test_what_documents_say_is_defined(programs: dict[str, Path], pipeline: Path) -> None:
    said = set()
    for path in (*(programs[name] for name in PROGRAMS), pipeline):
        for profile in ("full", "summary"):
            with document(path, profile=profile) as made:
                said |= set(re.findall(r"\bkp:(\w+)", documents.text(made, "provn")))
    assert said - DEFINED == set()
    assert len(said) > 60


def test_what_is_defined_is_said_somewhere_in_the_code() -> None:
    code = "".join(
        path.read_text()
        for path in (ROOT / "kerasprov_agent").rglob("*.py")
        if path.name != "terms.py"
    )
    roles = TERMS[2][2]
    assert [name for name in DEFINED - set(roles) if f"kp:{name}" not in code] in (
        [],
        # Made of the names of columns.
        ["exceptionType", "exception"],
        ["exception", "exceptionType"],
    )
    assert [name for name in roles if f'"{name}"' not in code] == []
