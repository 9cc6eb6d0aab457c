"""What every test runs under."""

import os

from hypothesis import settings

# A developer's own switches, keys and tracing reach no test.
for _name in tuple(os.environ):
    if _name.startswith(("ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_", "PROMPTCACHE")):
        del os.environ[_name]

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
