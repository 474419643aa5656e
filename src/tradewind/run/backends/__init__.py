"""Systems that run work: one file a system."""
