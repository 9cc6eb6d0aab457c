"""What is decided for a request, and why."""
