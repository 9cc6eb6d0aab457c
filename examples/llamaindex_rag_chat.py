"""A LlamaIndex chat over documents, before and after: what its turns read again.

    python examples/llamaindex_rag_chat.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import inspect
import os
import textwrap

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llamaindex_promptcache import PromptCachedAnthropic, PromptCachedContextChatEngine
from promptcache import PromptCache
from promptcache.emulator import Emulator

SYSTEM = "You explain this module:\n\n" + inspect.getsource(textwrap)
NODES = [
    TextNode(id_=name, text=inspect.getsource(getattr(textwrap, name)))
    for name in textwrap.__all__
]


class ByName(BaseRetriever):
    """Returns the functions that a question names."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        asked = query_bundle.query_str
        return [NodeWithScore(node=it) for it in NODES if it.node_id in asked]


def main(url: str | None = None) -> None:
    """Ask the same four questions of the stock engine and of ours."""
    stock, ours = ContextChatEngine, PromptCachedContextChatEngine
    for label, policy, kind in (("before", "off", stock), ("after", "auto", ours)):
        cache = PromptCache(policy)
        llm = PromptCachedAnthropic(
            model="claude-sonnet-5-5", base_url=url, prompt_cache=cache
        )
        engine = kind.from_defaults(ByName(), llm=llm, system_prompt=SYSTEM)
        for name in ("dedent", "shorten", "wrap", "indent"):
            engine.chat(f"What does {name} do?")
        it = cache.report().to_dict()["total"]
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read} by {kind.__name__}, ${it['cost_usd']:.4f}")


if __name__ == "__main__":
    if os.environ.get("ANTHROPIC_API_KEY"):
        main()
    else:
        os.environ["ANTHROPIC_API_KEY"] = "emulated"
        with Emulator() as emulator:
            main(emulator.url)
