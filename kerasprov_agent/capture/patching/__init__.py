"""How methods and functions of other packages are wrapped, so that nobody can tell."""
