"""Apache Livy: batches and statements."""
