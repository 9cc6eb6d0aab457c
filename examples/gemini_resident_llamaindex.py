"""A LlamaIndex query engine whose nodes Gemini keeps: its bill before and after.

    python examples/gemini_resident_llamaindex.py

Without GOOGLE_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import statistics
from difflib import get_close_matches
from inspect import getsource

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llamaindex_promptcache import GeminiResidentRetriever, PromptCachedGoogleGenAI
from promptcache import PromptCache
from promptcache.emulator import Emulator

NAMES = statistics.__all__
NODES = [TextNode(id_=it, text=getsource(getattr(statistics, it))) for it in NAMES]


class ByName(BaseRetriever):
    """Returns the six functions whose names are most like the first word."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        asked = query_bundle.query_str.partition(":")[0]
        names = get_close_matches(asked, NAMES, n=6, cutoff=0)
        return [NodeWithScore(node=NODES[NAMES.index(name)]) for name in names]


def main(emulator: Emulator | None = None) -> None:
    """Ask about twenty functions, one each minute, and do it twice."""
    url, clock = (emulator.url, emulator.clock) if emulator else (None, None)
    for label, policy in (("before", "off"), ("after", "auto")):
        cache = PromptCache(policy, store="memory:", clock=clock)
        kept = {"resident": "corpus", "documents": NODES, "prompt_cache": cache}
        llm = PromptCachedGoogleGenAI(
            "gemini-3.8-flash", http_options={"base_url": url}, prompt_cache=cache
        )
        retriever = GeminiResidentRetriever(ByName(), **kept)
        engine = RetrieverQueryEngine.from_args(retriever, llm=llm)
        for name in NAMES:
            engine.query(f"{name}: what does it return for an empty list?")
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
