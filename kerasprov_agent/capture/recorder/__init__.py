"""The record of an execution: what the hooks saw becomes rows, and rows become committed.

Identifiers are the execution's id and a local name: `<uuid>#fit-1`.
"""

from __future__ import annotations

from kerasprov_agent.capture.recorder.code import Code
from kerasprov_agent.capture.recorder.contents import Contents
from kerasprov_agent.capture.recorder.models import Models
from kerasprov_agent.capture.recorder.run import Run
from kerasprov_agent.capture.recorder.saving import Savings
from kerasprov_agent.capture.recorder.searches import Searches
from kerasprov_agent.capture.recorder.steps import Steps
from kerasprov_agent.capture.recorder.training import Trainings
from kerasprov_agent.capture.recorder.uses import Uses

__all__ = ["Recorder", "Run"]


class Recorder(Models, Searches, Trainings, Uses, Contents, Savings, Steps, Code):
    """Turns plain facts into rows of one execution."""
