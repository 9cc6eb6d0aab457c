"""What a request really used, cost and how long it took."""
