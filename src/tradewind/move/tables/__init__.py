"""What all SQL tables share: staging, ledger, names."""
