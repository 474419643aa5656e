"""One folder a system: all that Tradewind knows of it."""
