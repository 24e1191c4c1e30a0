"""Bytes and arrays: which files the program reads and writes, and where its arrays came from.

Nothing of the program's data is kept alive or copied: weak references and hashes only.
"""
