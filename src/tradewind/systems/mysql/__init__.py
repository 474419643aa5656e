"""MySQL and MariaDB: a source, a table, and a server on this machine."""
