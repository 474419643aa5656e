"""Where data are published: one file a kind."""
