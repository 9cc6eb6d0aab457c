"""A LangChain retrieval chain whose documents Gemini keeps.

    python examples/gemini_resident_langchain.py

Without GOOGLE_API_KEY it asks a local emulator; with one, the provider.
"""

import inspect
import os
import textwrap

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from langchain_promptcache import (
    GeminiResidentRetriever,
    PromptCachedChatGoogleGenerativeAI,
)
from promptcache import Limits, PromptCache, Receipt
from promptcache.emulator import Emulator

# Repeated, since what Gemini keeps must be of some length.
DOCUMENTS = [
    Document(id=name, page_content=inspect.getsource(getattr(textwrap, name)) * 4)
    for name in textwrap.__all__
]


def main(url: str | None = None) -> None:
    """Ask four questions about functions; each is answered from their source."""
    cache = PromptCache(store="memory:", limits=Limits(usd_per_hour=1))
    found = RunnableLambda(lambda asked: [it for it in DOCUMENTS if it.id in asked])
    retriever = GeminiResidentRetriever(
        retriever=found, resident="corpus", documents=DOCUMENTS, prompt_cache=cache
    )
    prompt = ChatPromptTemplate.from_template("{context}\n\nQuestion: {question}")
    model = PromptCachedChatGoogleGenerativeAI(
        model="gemini-3.8-flash", base_url=url, prompt_cache=cache
    )
    context = retriever | (lambda found: "\n\n".join(it.page_content for it in found))
    chain = {"context": context, "question": RunnablePassthrough()} | prompt | model
    for name in ("dedent", "shorten", "wrap", "indent"):
        answer = chain.invoke(f"What does {name} do?")
        receipt = Receipt.from_metadata(answer.response_metadata["prompt_cache"])
        used, notes = receipt.usage, "; ".join(receipt.notes)
        print(f"{used.read_tokens} of {used.input_tokens} tokens read ({notes})")
        cache.keeper.idle()  # Created beside the request: a server need not wait.
    cache.close()


if __name__ == "__main__":
    if os.environ.get("GOOGLE_API_KEY"):
        main()
    else:
        os.environ["GOOGLE_API_KEY"] = "emulated"
        with Emulator() as emulator:
            main(emulator.url)
