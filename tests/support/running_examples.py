"""The examples, and how a user runs one."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}

COUNTED = (
    "anthropic_sdk",
    "contextual_retrieval",
    "deepagents_agent",
    "langchain_openai_agent",
    "llamaindex_openai_agent",
    "openai_sdk",
)
"""Those that also say how many requests they made, which is the same both times."""
UNCOUNTED = (
    "coding_assistant",
    "langchain_rag_chat",
    "llamaindex_rag_chat",
    "support_chatbot",
)
"""Those that do not; their prompts are sent whole both times, too."""
BY_NAME = ("gemini_resident_langchain", "gemini_resident_llamaindex")
"""Those whose requests name what the provider holds, which is more than was found."""
COMPARING = (*COUNTED, *UNCOUNTED, *BY_NAME)
"""Those that say what was paid before, and after."""

ALONE = ("langchain_chat", "llamaindex_chat", "anthropic_sdk")
"""Those that are run in a Python of their own, to its very end."""


def run(folder, *arguments):
    """Return what a Python of its own did, without a key of a provider."""
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
