"""All that runs inside the user's program: it is hooked here, watched and written down.

Imports nothing heavy, can't fail, and keeps no reference to the user's objects.
"""
