"""The operations offered: one file a resource, each function registered by `registry.operation`."""
