"""LLMs whose prompts are cached, one module a provider."""
