"""Any database with a DB-API or ADBC connection: a source."""
