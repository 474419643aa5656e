"""How objects and parts become visible at once: manifest, parts, partitions."""
