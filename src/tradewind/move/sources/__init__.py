"""Where data come from: one file a system."""
