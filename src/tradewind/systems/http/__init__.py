"""HTTP APIs: a source of records, and jobs behind an API."""
