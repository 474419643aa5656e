"""Files of this machine: a store."""
