"""The legs of the version matrix: which Python, which packages, which tests.

Rule 1: this is the only table of them; `matrix.py` runs it, and docs/versions.md is
what came of it.
Rule 2: a leg runs call paths and conformance, in two minutes.
"""

from dataclasses import dataclass

__all__ = ["LEGS", "PACKAGES", "Leg"]

LANGCHAIN = ("langchain-anthropic", "langchain-google", "langchain-openai")
LLAMAINDEX = ("llamaindex-anthropic", "llamaindex-google", "llamaindex-openai")

SEAMS = "tests/test_seams_versions.py"
LANGCHAIN_PATHS = (
    "tests/langchain/test_call_paths.py",
    "tests/langchain/openai/test_openai_call_paths.py",
    "tests/langchain/google/test_google_call_paths.py",
)
LLAMAINDEX_PATHS = (
    "tests/llamaindex/test_call_paths.py",
    "tests/llamaindex/openai/test_openai_call_paths.py",
    "tests/llamaindex/google/test_google_call_paths.py",
)

PACKAGES = (
    "anthropic",
    "openai",
    "google-genai",
    "google-generativeai",
    "langchain-core",
    "langchain-anthropic",
    "langchain-openai",
    "langchain-google-genai",
    "llama-index-core",
    "llama-index-llms-anthropic",
    "llama-index-llms-openai",
    "llama-index-llms-google-genai",
)
"""Whose versions are shown."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One environment and the tests that are run in it."""

    name: str
    """Unlike every other; the page shows it."""
    tests: tuple[str, ...]
    """Files and folders of the tree."""
    extras: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    """What is installed beside the wheel with its extras."""
    python: str | None = None
    """None is the one that runs this."""
    is_lowest: bool = False
    """Whether all that the extras name is installed at its lower bound."""
    holds: tuple[str, ...] = ()
    """What must be true of the versions that were found."""
    without: tuple[str, ...] = ()
    """What must not have been installed."""
    forgiven: tuple[str, ...] = ()
    """Warnings of old packages beside new ones, as pytest filters them."""
    leaves_out: str = ""
    """Tests whose name has this are left to other legs."""
    may_fail: bool = False
    """Whether it tells of what is to come, and is no reason to refuse a change."""


def _on(python: str) -> Leg:
    return Leg(
        f"Python {python}",
        python=python,
        extras=("all",),
        tests=(
            *LANGCHAIN_PATHS,
            *LLAMAINDEX_PATHS,
            "tests/test_public_api.py",
            SEAMS,
        ),
        # The same requests at another address.
        leaves_out="azure",
    )


LEGS = (
    *map(_on, ("3.10", "3.11", "3.12", "3.13")),
    Leg(
        "LangChain, newest",
        extras=("cli", "emulator", *LANGCHAIN),
        holds=("anthropic>=2", "openai>=3"),
        without=("google-generativeai", "llama-index-core"),
        tests=(*LANGCHAIN_PATHS, "tests/conformance", SEAMS),
    ),
    Leg(
        "LangChain, lowest",
        python="3.10",
        extras=("cli", "emulator", *LANGCHAIN),
        is_lowest=True,
        without=("google-generativeai", "llama-index-core"),
        tests=(*LANGCHAIN_PATHS, SEAMS),
    ),
    Leg(
        "LlamaIndex, newest",
        extras=("cli", "emulator", *LLAMAINDEX),
        holds=("anthropic>=0.120,<1", "openai<3"),
        without=("google-generativeai", "langchain-core"),
        tests=(*LLAMAINDEX_PATHS, SEAMS),
    ),
    Leg(
        "LlamaIndex, lowest",
        python="3.10",
        extras=("cli", "emulator", *LLAMAINDEX),
        is_lowest=True,
        holds=("anthropic==0.120.*",),
        forgiven=("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning",),
        without=("google-generativeai", "langchain-core"),
        tests=(*LLAMAINDEX_PATHS, SEAMS),
    ),
    # No framework takes google-genai 3, which speaks to another version of the API.
    Leg(
        "SDKs alone",
        extras=("cli", "emulator"),
        requires=("anthropic>=2,<3", "google-genai>=3,<4", "openai>=3,<4"),
        without=("google-generativeai", "langchain-core", "llama-index-core"),
        tests=(
            "tests/providers/anthropic/test_seam_calls.py",
            "tests/providers/anthropic/test_seam_retries.py",
            "tests/providers/anthropic/test_seam_streams.py",
            "tests/providers/gemini/test_remote.py",
            "tests/providers/gemini/test_seam.py",
            "tests/providers/openai/test_seam_calls.py",
            "tests/providers/openai/test_seam_retries.py",
            "tests/providers/openai/test_seam_streams.py",
            SEAMS,
        ),
    ),
    Leg(
        "SDKs, no upper bound",
        extras=("cli", "emulator"),
        requires=("anthropic", "google-genai", "openai"),
        tests=(SEAMS,),
        may_fail=True,
    ),
    Leg(
        "frameworks, no upper bound",
        extras=("cli", "emulator"),
        requires=(
            "langchain",
            "langchain-anthropic",
            "langchain-google-genai",
            "langchain-openai",
            "llama-index-llms-anthropic",
            "llama-index-llms-google-genai",
            "llama-index-llms-openai",
        ),
        tests=(SEAMS,),
        may_fail=True,
    ),
)
