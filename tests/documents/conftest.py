"""Fixtures of the tests of documents."""

from tests.documents.programs import pipeline, programs

__all__ = ["pipeline", "programs"]
