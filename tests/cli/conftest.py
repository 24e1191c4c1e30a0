"""Fixtures of the tests of `kerasprov prov`."""

from tests.documents.programs import pipeline, programs

__all__ = ["pipeline", "programs"]
