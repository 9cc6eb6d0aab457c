"""Gemini: the Developer API and Vertex AI, as rows of facts so far."""
