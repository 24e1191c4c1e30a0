"""The record: one SQLite file. `schema` is what both halves of the package share."""
