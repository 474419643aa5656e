"""SQLite: a source and a table."""
