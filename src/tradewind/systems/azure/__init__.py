"""Azure Blob Storage: a store."""
