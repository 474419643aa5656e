"""What the command line offers: one file a command. It may use everything."""
