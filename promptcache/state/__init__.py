"""What is remembered of the requests before."""
