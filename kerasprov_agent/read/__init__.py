"""Asking the record: plain functions over one database. Never creates or changes a file."""
