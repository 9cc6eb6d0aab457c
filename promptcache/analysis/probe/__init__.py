"""Asking a provider, with a real key, what its documents leave open."""
