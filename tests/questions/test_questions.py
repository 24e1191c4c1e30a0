"""docs/questions.md: its SQL and its commands answer the same, and what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.questions import answers

QUESTIONS = {question.name: question for question in answers.questions()}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return answers.database(tmp_path_factory.mktemp("questions"))


def test_all_of_them_are_there() -> None:
    assert set(QUESTIONS) == {f"A{number}" for number in range(1, 29)}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer(name: str, database: Path) -> None:
    question = QUESTIONS[name]
    assert len(question.statements) == len(question.commands)
    for statement, words in zip(question.statements, question.commands, strict=True):
        found = answers.asked(database, statement)
        assert found, statement
        told = answers.commanded(database, words)
        assert answers.same(found, told), (statement, found, told)
    assert question.answer == answers.answer(database, question)
