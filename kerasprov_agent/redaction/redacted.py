"""How secrets are told: by the names they go by, by their own form, by the place they stand in.

Pure functions from text to text. Each takes time in proportion to the length of the text, whatever
the text is: what is recorded may be hostile, and a training waits for us.
"""

REDACTED = "[redacted]"
"""What stands where a secret stood."""


def words(text: str) -> frozenset[str]:
    """The words of a text, for tables of them."""
    return frozenset(text.split())
