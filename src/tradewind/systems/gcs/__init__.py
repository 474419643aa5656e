"""Google Cloud Storage: a store."""
