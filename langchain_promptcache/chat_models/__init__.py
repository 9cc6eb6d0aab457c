"""Chat models whose prompts are cached, one module a provider."""
