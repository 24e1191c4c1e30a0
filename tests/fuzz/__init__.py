"""What no one would write, made by Hypothesis: `FUZZ=long pytest tests/fuzz` makes more of it."""
