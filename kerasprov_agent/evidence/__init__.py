"""Evidence for somebody else: projections of one question, what led to this model."""
