"""What is read off receipts and traces, aside from any request."""
