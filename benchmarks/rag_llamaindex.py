"""The cases of the retrieval benchmark that LlamaIndex's own components have."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from rag_data import Chat, Passage
from rag_scene import Scene
from typing_extensions import override

from llamaindex_promptcache import (
    PromptCachedAnthropic,
    PromptCachedCondensePlusContextChatEngine,
    PromptCachedContextChatEngine,
    PromptCachedGoogleGenAI,
    PromptCachedOpenAI,
    StableNodeOrder,
    cacheable_qa_template,
    stable_memory,
)

__all__ = ["CASES"]

TOP_K = 2
"""Nodes for a question, as LlamaIndex's retrievers return unless told otherwise."""
FILES = 6
"""What one user has, for whom each question has all of it retrieved."""
TOKEN_LIMIT = 3_000
"""Of a memory; the buffer's own if none is given."""


class _Retriever(BaseRetriever):
    """Finds passages by their words."""

    def __init__(
        self, scene: Scene, k: int, among: tuple[Passage, ...] | None = None
    ) -> None:
        super().__init__()
        self._scene, self._k, self._among = scene, k, among

    @override
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._scene.search(query_bundle.query_str, self._k, self._among)
        return [
            NodeWithScore(node=_node(passage), score=1 / place)
            for place, passage in enumerate(found, start=1)
        ]


def _context_chat_engine(scene: Scene) -> None:
    given: dict[str, Any] = {
        "retriever": _Retriever(scene, TOP_K),
        "llm": _llm(scene),
        "system_prompt": scene.collection.instructions,
    }
    for chat in scene.chats():
        if scene.is_remedied:
            order = StableNodeOrder(prompt_cache=scene.cache)
            engine: Any = PromptCachedContextChatEngine.from_defaults(
                **given, node_postprocessors=[order]
            )
        else:
            engine = ContextChatEngine.from_defaults(**given)
        for question in scene.questions(chat):
            engine.chat(question)


def _condense_plus_context(scene: Scene) -> None:
    kind = (
        PromptCachedCondensePlusContextChatEngine
        if scene.is_remedied
        else CondensePlusContextChatEngine
    )
    given: dict[str, Any] = {
        "retriever": _Retriever(scene, TOP_K),
        "llm": _llm(scene),
        "system_prompt": scene.collection.instructions,
    }
    for chat in scene.chats():
        engine = kind.from_defaults(**given)
        both = zip(_condensed(scene, chat), scene.questions(chat), strict=True)
        for _, question in both:
            engine.chat(question)


def _changing_order(scene: Scene) -> None:
    given: dict[str, Any] = {"llm": _llm(scene)}
    if scene.is_remedied:
        given["node_postprocessors"] = [StableNodeOrder(prompt_cache=scene.cache)]
        given["text_qa_template"] = cacheable_qa_template()
    for chat in scene.chats():
        asked = " ".join(turn.question for turn in chat.turns)
        files = tuple(scene.search(asked, FILES))
        retriever = _Retriever(scene, FILES, files)
        engine = RetrieverQueryEngine.from_args(retriever, **given)
        for question in scene.questions(chat):
            engine.query(question)


def _full_memory(scene: Scene) -> None:
    if scene.is_remedied:
        memory: Any = stable_memory(TOKEN_LIMIT)
    else:
        memory = ChatMemoryBuffer.from_defaults(token_limit=TOKEN_LIMIT)
    engine = SimpleChatEngine.from_defaults(
        llm=_llm(scene),
        memory=memory,
        system_prompt=scene.collection.instructions,
    )
    for chat in scene.chats():
        for question in scene.questions(chat):
            engine.chat(question)


CASES: Mapping[str, Callable[[Scene], None]] = {
    "context_chat_engine": _context_chat_engine,
    "condense_plus_context": _condense_plus_context,
    "changing_order": _changing_order,
    "full_memory": _full_memory,
}


def _llm(scene: Scene) -> Any:
    given: dict[str, Any] = {**scene.options, "api_key": "any", "max_retries": 0}
    url = scene.emulator.url
    if scene.provider == "anthropic":
        return PromptCachedAnthropic(**given, base_url=url, max_tokens=1_024)
    if scene.provider == "openai":
        return PromptCachedOpenAI(**given, api_base=f"{url}/v1")
    return PromptCachedGoogleGenAI(
        **given, context_window=1_000_000, http_options={"base_url": url}
    )


def _condensed(scene: Scene, chat: Chat) -> Iterator[None]:
    """Have each question but the first condensed, to itself: it stands alone."""
    for number, turn in enumerate(chat.turns):
        if number:
            scene.emulator.answers.push(turn.question)
        yield


def _node(passage: Passage) -> TextNode:
    return TextNode(
        id_=passage.key, text=passage.text, metadata={"title": passage.title}
    )
