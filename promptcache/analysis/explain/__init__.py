"""What is decided on requests and why, before any of them is sent."""
