"""Object stores: one file a store."""
