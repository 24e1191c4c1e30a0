"""Keras objects, arrays, the machine and the code, as plain redacted values.

Functions from an object to a dict. None imports Keras: objects are known by what they have.
None keeps a reference to what it described, iterates over data, or changes anything.
"""
