"""What every test runs under."""

import os

from hypothesis import settings

# A developer's own switches, keys and tracing reach no test.
_THEIRS = (
    "ANTHROPIC_",
    "AZURE_OPENAI_",
    "LANGCHAIN_",
    "LANGSMITH_",
    "GEMINI_",
    "GOOGLE_",
    "OPENAI_",
    "PROMPTCACHE",
)
for _name in tuple(os.environ):
    if _name.startswith(_THEIRS):
        del os.environ[_name]

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
