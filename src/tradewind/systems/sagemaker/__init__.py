"""Amazon SageMaker: jobs, endpoints, RecordIO, and its local form."""
