"""A document as a picture: `graph` folds it, `dot` writes it down, `graphviz` draws it."""
