"""What recorded traffic would have cost under one policy or another."""
