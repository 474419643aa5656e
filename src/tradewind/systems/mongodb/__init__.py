"""MongoDB: a source, and a server on this machine."""
