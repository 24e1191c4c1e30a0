"""The model that a card is of: its training, what led to it, its files."""

from __future__ import annotations

import os

from kerasprov_agent.errors import UnknownRun
from kerasprov_agent.read.materials import Materials
from kerasprov_agent.read.origin import Origin
from kerasprov_agent.read.trained import Trained


class Model(Trained):
    """A model as the last of the trainings that led to it left it."""

    def __init__(self, origin: Origin) -> None:
        """Raises `UnknownRun` where no training led to it."""
        if not origin.runs:
            raise UnknownRun("no training is recorded that led to that, so there is no card of it")
        super().__init__(origin.record, origin.runs[-1])
        self.origin = origin
        self.files = list(origin.files())
        models = [known for known in self.files if known.kind not in ("data", "code")]
        self.own_files = [known for known in models if known.entity_id in origin.own]
        self.ancestors = [known for known in models if known.entity_id not in origin.own]
        self.materials = Materials(origin)
        self.name = self._name()

    def _name(self) -> str:
        for entity_id in self.origin.start:
            node = self.origin.lineage.node(entity_id)
            if node.get("path"):
                return os.path.basename(str(node["path"]))
        return str(self.run["name"])
