"""PostgreSQL: a source, a table, and a server on this machine."""
