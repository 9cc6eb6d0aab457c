"""A LlamaIndex query engine whose nodes Gemini keeps.

    python examples/gemini_resident_llamaindex.py

Without GOOGLE_API_KEY it asks a local emulator; with one, the provider.
"""

import inspect
import os
import textwrap

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llamaindex_promptcache import GeminiResidentRetriever, PromptCachedGoogleGenAI
from promptcache import Limits, PromptCache
from promptcache.emulator import Emulator

# Repeated, since what Gemini keeps must be of some length.
NODES = [
    TextNode(id_=name, text=inspect.getsource(getattr(textwrap, name)) * 4)
    for name in textwrap.__all__
]


class ByName(BaseRetriever):
    """Returns the functions that a question names."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        asked = query_bundle.query_str
        return [NodeWithScore(node=it) for it in NODES if it.node_id in asked]


def main(url: str | None = None) -> None:
    """Ask four questions about functions; each is answered from their source."""
    cache = PromptCache(store="memory:", limits=Limits(usd_per_hour=1))
    model, options = "gemini-3.8-flash", {"base_url": url} if url else None
    llm = PromptCachedGoogleGenAI(model, http_options=options, prompt_cache=cache)
    retriever = GeminiResidentRetriever(
        ByName(), resident="corpus", documents=NODES, prompt_cache=cache
    )
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm)
    with cache.collect() as receipts:
        for name in ("dedent", "shorten", "wrap", "indent"):
            engine.query(f"What does {name} do?")
            cache.keeper.idle()  # Created beside the request: a server need not wait.
    for it in receipts:
        used, notes = it.usage, "; ".join(it.notes)
        print(f"{used.read_tokens} of {used.input_tokens} tokens read ({notes})")
    cache.close()


if __name__ == "__main__":
    if os.environ.get("GOOGLE_API_KEY"):
        main()
    else:
        os.environ["GOOGLE_API_KEY"] = "emulated"
        with Emulator() as emulator:
            main(emulator.url)
