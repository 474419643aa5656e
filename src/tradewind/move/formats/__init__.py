"""How data is written and read: one file a format."""
