"""How much is tried: little with every run of the suite, much where somebody asks for it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = {"short": 30, "long": 5000}[os.environ.get("FUZZ", "short")]
settings.register_profile(
    "ours",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Smaller examples of a failure are looked for in the long run: that takes minutes.
    phases=[Phase.explicit, Phase.generate] if "FUZZ" not in os.environ else list(Phase),
    # The short run tries the same each time: what it finds, everybody finds.
    derandomize="FUZZ" not in os.environ,
    database=None,
)
settings.load_profile("ours")
