"""A cached content for as long as it is needed, with `google-genai` alone.

Runs on the embedded emulator; set GEMINI_API_KEY to ask Gemini.
"""

import os

from google import genai
from google.genai import types

from promptcache import GeminiCacheKeeper, MemoryStore, PromptCache
from promptcache.emulator import Emulator

MODEL = "gemini-3.8-flash"
RULES = "Answer from the handbook below, and say which section you used.\n\n" + (
    "Section: returns are free within thirty days, with the receipt.\n" * 500
)
KEY = os.environ.get("GEMINI_API_KEY")


def main() -> None:
    """Hold the rules, and ask three questions that begin with them."""
    with Emulator() as emulator:
        url = None if KEY else emulator.url
        options = types.HttpOptions(base_url=url)
        cache = PromptCache(store=MemoryStore())
        with genai.Client(api_key=KEY or "any", http_options=options) as plain:
            client = cache.attach(plain)
            keeper = GeminiCacheKeeper(client, cache=cache)
            with keeper.hold(MODEL, system=RULES, ttl="10m") as handle:
                print(f"held: {handle.tokens} tokens")
                ask(client)
            print("let go, and deleted")
        print(cache.report())
        cache.close()


def ask(client: genai.Client) -> None:
    """Ask as ever: no request needs a word of the handle."""
    config = types.GenerateContentConfig(system_instruction=RULES)
    for question in ("May I return shoes?", "Without the receipt?", "After a month?"):
        answer = client.models.generate_content(
            model=MODEL, contents=question, config=config
        )
        usage = answer.usage_metadata
        if usage is not None:
            print(f"{question} read {usage.cached_content_token_count} tokens")


if __name__ == "__main__":
    main()
