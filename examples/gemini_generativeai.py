"""A cached content for as long as it is needed, with `google-generativeai`.

Runs on the embedded emulator; set GEMINI_API_KEY to ask Gemini.
"""

import os
import warnings

with warnings.catch_warnings():
    # It says on import that its support has ended.
    warnings.simplefilter("ignore")
    import google.generativeai as genai

from promptcache import GeminiCacheKeeper, MemoryStore, PromptCache
from promptcache.emulator import Emulator

MODEL = "gemini-3.8-flash"
RULES = "Answer from the handbook below, and say which section you used.\n\n" + (
    "Section: returns are free within thirty days, with the receipt.\n" * 500
)
KEY = os.environ.get("GEMINI_API_KEY")


def main() -> None:
    """Hold the rules, and ask in both ways that read them."""
    with Emulator() as emulator:
        url = None if KEY else emulator.url
        genai.configure(
            api_key=KEY or "any",
            transport="rest",
            client_options=url and {"api_endpoint": url},
        )
        cache = PromptCache(store=MemoryStore())
        keeper = GeminiCacheKeeper(cache=cache)
        with keeper.hold(MODEL, system=RULES, ttl="10m") as handle:
            print(f"held: {handle.tokens} tokens")
            # As `GenerativeModel.from_cached_content` makes it, with receipts.
            ask(keeper.generative_model(handle), "May I return shoes?")
            # A model that is made as ever names the same by itself.
            model = genai.GenerativeModel(MODEL, system_instruction=RULES)
            ask(cache.attach(model), "Without the receipt?")
        print("let go, and deleted")
        print(cache.report())
        cache.close()


def ask(model: genai.GenerativeModel, question: str) -> None:
    """Ask, and print what was read."""
    usage = model.generate_content(question).usage_metadata
    print(f"{question} read {usage.cached_content_token_count} tokens")


if __name__ == "__main__":
    main()
