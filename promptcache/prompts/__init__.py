"""What makes prompts that can be cached: texts, documents and tools in a lasting form.

Rule 1: nothing happens here unless the caller asked for it by name, and what is done to
a request is noted for its receipt.
"""
