"""A support chatbot that looks pages up for its customers: its bill before and after.

    python examples/support_chatbot.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import re
from pathlib import Path
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.documents import Document
from langchain_core.runnables import chain

from langchain_promptcache import StableDocumentOrder, format_documents, prompt_cached
from promptcache import PromptCache, static, volatile
from promptcache.emulator import Emulator

BOOK = Path(__file__).parent / "handbook"
FILES = {it.stem: it.read_text(encoding="utf-8") for it in sorted(BOOK.iterdir())}
ASKED, RULES = FILES.pop("asked").splitlines(), FILES.pop("rules")
PAGES = [Document(text, id=name) for name, text in FILES.items()]


@chain
def search(question: str) -> list[Document]:
    """Return the three pages that have most of the longer words of a question."""
    words = re.findall(r"\w{5,}", question.lower())
    found = {it.id: sum(word in it.page_content for word in words) for it in PAGES}
    return sorted(PAGES, key=lambda it: -found[it.id])[:3]


def main() -> None:
    """Answer the same questions twice; each customer has a conversation."""
    for label, policy in (("before", "off"), ("after", "auto")):
        cache = PromptCache(policy)
        model = prompt_cached(ChatAnthropic(model="claude-sonnet-5-5"), cache)
        retriever = StableDocumentOrder(prompt_cache=cache).around(search)
        talks: dict[str, list[Any]] = {}
        for minute, line in enumerate(ASKED, start=10):
            name, question = line.split(": ")
            now = volatile(f"It is 9:{minute} on 4 May 2027, and you talk to {name}.")
            pages = format_documents(retriever.invoke(question))
            talk = talks.setdefault(name, [])
            talk.append(("human", f"{pages}\n\n{question}"))
            prompt = [("system", f"{static(RULES)}\n\n{now}"), *talk]
            talk.append(model.invoke(prompt, prompt_cache={"conversation": name}))
        it = cache.report().to_dict()["total"]
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read}, ${it['cost_usd']:.4f}")


if __name__ == "__main__":
    key = os.environ.setdefault("ANTHROPIC_API_KEY", "emulated")
    with Emulator() as served:
        if key == "emulated":
            os.environ["ANTHROPIC_BASE_URL"] = served.url
        main()
