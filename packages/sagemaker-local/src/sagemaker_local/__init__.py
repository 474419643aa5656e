"""A local SageMaker: its wire API on loopback, with real training and serving behind it."""
