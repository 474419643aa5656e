"""Objects of any store as a source and as a target."""
