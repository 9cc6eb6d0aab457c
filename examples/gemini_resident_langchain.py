"""A LangChain retrieval chain whose documents Gemini keeps: its bill before and after.

    python examples/gemini_resident_langchain.py

Without GOOGLE_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import statistics
from difflib import get_close_matches
from inspect import getsource

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough, chain

from langchain_promptcache import GeminiResidentRetriever, format_documents
from langchain_promptcache import PromptCachedChatGoogleGenerativeAI as Chat
from promptcache import PromptCache
from promptcache.emulator import Emulator

NAMES = statistics.__all__
DOCUMENTS = [Document(getsource(getattr(statistics, it)), id=it) for it in NAMES]
PROMPT = ChatPromptTemplate.from_template("{context}\n\nQuestion: {asked}")


@chain
def search(question: str) -> list[Document]:
    """Return the six functions whose names are most like the first word."""
    names = get_close_matches(question.partition(":")[0], NAMES, n=6, cutoff=0)
    return [DOCUMENTS[NAMES.index(name)] for name in names]


def main(emulator: Emulator | None = None) -> None:
    """Ask about twenty functions, one each minute, and do it twice."""
    url, clock = (emulator.url, emulator.clock) if emulator else (None, None)
    for label, policy in (("before", "off"), ("after", "auto")):
        cache = PromptCache(policy, store="memory:", clock=clock)
        kept = {"resident": "corpus", "documents": DOCUMENTS, "prompt_cache": cache}
        context = GeminiResidentRetriever(retriever=search, **kept) | format_documents
        model = Chat(model="gemini-3.8-flash", base_url=url, prompt_cache=cache)
        asking = {"context": context, "asked": RunnablePassthrough()} | PROMPT | model
        for name in NAMES:
            asking.invoke(f"{name}: what does it return for an empty list?")
            cache.keeper.idle()  # Created beside the request: a server need not wait.
            if emulator:
                emulator.clock.advance(60)
        cache.close()
        it = cache.report().to_dict()["total"]
        usd = it["cost_usd"] + it.get("storage_usd", 0)
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read}, with storage ${usd:.4f}")


if __name__ == "__main__":
    key = os.environ.setdefault("GOOGLE_API_KEY", "emulated")
    with Emulator() as served:
        main(served if key == "emulated" else None)
