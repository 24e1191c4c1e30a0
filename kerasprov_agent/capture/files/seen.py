"""What is noted of a file that the program opened or renamed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kerasprov_agent.capture.files.versions import Version
    from kerasprov_agent.capture.origins import Origin


class Seen:
    """A file that was opened, or got its name by a renaming.

    `at`: when, in seconds. `activity`: the id of the run, evaluation or step that did it, if one
    did. `by_input`: the data set whose code read it. `origins`: what was written into it came from.
    """

    __slots__ = (
        "activity", "at", "by_input", "origins", "path", "renamed_from", "version", "written",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        written: bool,
        version: Version | None,
        at: float,
        activity: str | None,
        by_input: str | None = None,
        renamed_from: str | None = None,
        origins: list[Origin] | None = None,
    ) -> None:
        self.path, self.written, self.version = path, written, version
        self.at, self.activity, self.by_input = at, activity, by_input
        self.renamed_from, self.origins = renamed_from, origins
