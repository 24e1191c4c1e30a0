"""The errors of ours that a person sees: one line that says what to do, exit status 2."""

from __future__ import annotations


class KerasProvError(Exception):
    """Something that the person at the keyboard can put right."""


class SettingError(KerasProvError, ValueError):
    """A setting has a value that it can't have."""


class Unusable(KerasProvError):
    """The database can't be used: no SQLite file, not ours, too new, a directory, missing."""


class UnknownRun(KerasProvError, LookupError):
    """No run, or more than one, goes by that name."""
