"""A chat about documents, which stand before its history and then behind it.

    python examples/langchain_rag_chat.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
from typing import Any

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough

from langchain_promptcache import PromptCachedChatAnthropic, prompt_cached
from langchain_promptcache import create_prompt_cached_stuff_documents_chain as stuff
from promptcache import PromptCache
from promptcache.emulator import Emulator

RULES = "You are a clerk of a railway museum, and answer from the register. " * 90
SYSTEM = ("system", RULES + "\n\nThe register:\n\n{context}")
PROMPT = ChatPromptTemplate([SYSTEM, ("placeholder", "{talk}"), ("human", "{input}")])
JOINED = {"context": lambda it: "\n\n".join(d.page_content for d in it["context"])}
LEAF = "The T {} was kept in the southern shed. "


def lead(chain: Runnable[Any, str]) -> None:
    """Ask six questions in one conversation, each with documents of its own."""
    talk: list[tuple[str, str]] = []
    for number in range(6):
        found = [Document(LEAF.format(number * 3 + it) * 60) for it in range(3)]
        asked = {"context": found, "input": f"Where was number {number}?", "talk": talk}
        talk = [*talk, ("human", f"{asked['input']}"), ("ai", chain.invoke(asked))]


def main() -> None:
    """Compare LangChain's prompt with one that has documents behind the history."""
    before, after = PromptCache("off"), PromptCache()
    model = PromptCachedChatAnthropic(model="claude-sonnet-5-5", prompt_cache=before)
    lead(RunnablePassthrough.assign(**JOINED) | PROMPT | model | StrOutputParser())
    lead(stuff(prompt_cached(model, after), PROMPT))
    for label, cache in (("before", before), ("after", after)):
        it = cache.report().to_dict()["total"]
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read}, ${it['cost_usd']:.4f}")


if __name__ == "__main__":
    key = os.environ.setdefault("ANTHROPIC_API_KEY", "emulated")
    with Emulator() as served:
        if key == "emulated":
            os.environ["ANTHROPIC_BASE_URL"] = served.url
        main()
