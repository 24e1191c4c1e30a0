"""Taking in what other tools recorded, and handing on what is recorded here."""
