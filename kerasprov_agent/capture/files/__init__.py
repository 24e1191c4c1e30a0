"""Which files the program opens, in which version, and what is in them."""
