"""How much is tried: little with every run of the suite, much where somebody asks for it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = {"short": 30, "long": 5000}[os.environ.get("FUZZ", "short")]
settings.register_profile(
    "ours",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # The short run tries the same each time: what it finds, everybody finds.
    derandomize="FUZZ" not in os.environ,
    database=None,
)
settings.load_profile("ours")
