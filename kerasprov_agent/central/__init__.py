"""One PostgreSQL for a team: what is recorded travels there from each database, during training.

`store/outbox.py` notes in the database what changed. `sending` carries it to the server,
`following` does so for as long as a program goes on, `pulling` makes a local database of what is
there, and `checking` compares the two. `dialect` is the only module that knows PostgreSQL's tables,
`server` the only one that connects. docs/central.md tells how to set it up.
"""
