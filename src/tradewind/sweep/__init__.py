"""What Tradewind has left on outside systems: found, judged and removed."""
