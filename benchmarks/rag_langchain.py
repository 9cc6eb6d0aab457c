"""Cases of retrieval and agents in LangChain, as documented and as this project does.

LangChain's own retrieval chain is in the package langchain-classic.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import count, cycle
from textwrap import shorten
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, dynamic_prompt
from langchain_classic.chains import create_retrieval_chain
from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, create_retriever_tool
from rag_data import Passage
from rag_scene import Scene

from langchain_promptcache import (
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
    PromptCacheMiddleware,
    StableDocumentOrder,
    create_prompt_cached_retrieval_chain,
    create_prompt_cached_stuff_documents_chain,
    volatile,
)

__all__ = ["CASES"]

_CLASSES: Mapping[str, type[BaseChatModel]] = {
    "anthropic": PromptCachedChatAnthropic,
    "openai": PromptCachedChatOpenAI,
    "google": PromptCachedChatGoogleGenerativeAI,
}
_RETRIEVED = 4
_SEARCH = "search"
_TOOLS = 14
_DESCRIPTION_CHARACTERS = 1_000
"""What may be said of a tool; OpenAI takes 1,024 characters."""

_CUSTOMERS = ("Ada Lovelace", "Grace Hopper", "Emmy Noether", "Mary Somerville")
_MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)
_MAPPED = 24
_SUMMARY = "It says what applies, to whom, from when on, and what to do otherwise."


class _Retriever(BaseRetriever):
    """Finds the passages that fit a question best."""

    scene: Any
    among: Any = None
    """The passages to choose from; else all."""

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's
    ) -> list[Document]:
        found = self.scene.search(query, _RETRIEVED, self.among)
        return [
            Document(it.text, id=it.key, metadata={"title": it.title}) for it in found
        ]


def _retrieval_chain(scene: Scene) -> None:
    """Ask with the documents in the system prompt, and behind it what was said."""
    prompt = ChatPromptTemplate(
        [
            ("system", f"{_literal(scene.collection.instructions)}\n\n{{context}}"),
            MessagesPlaceholder("chat_history"),
            ("human", "{input}"),
        ]
    )
    retriever, model = _retriever(scene), _model(scene)
    if scene.is_remedied:
        combine = create_prompt_cached_stuff_documents_chain(model, prompt)
        chain = create_prompt_cached_retrieval_chain(retriever, combine)
    else:
        combine = create_stuff_documents_chain(model, prompt)
        chain = create_retrieval_chain(retriever, combine)
    for chat in scene.chats():
        history: list[BaseMessage] = []
        for question in scene.questions(chat):
            answer = chain.invoke({"input": question, "chat_history": history})
            history += [HumanMessage(question), AIMessage(answer["answer"])]


def _agent_with_retriever(scene: Scene) -> None:
    """Let an agent search before each answer."""
    agent = create_agent(
        _model(scene),
        [_search_tool(scene)],
        system_prompt=scene.collection.instructions,
        middleware=[PromptCacheMiddleware()] if scene.is_remedied else [],
    )
    for chat in scene.chats():
        _talk(agent, scene.questions(chat, tool=_SEARCH))


def _dynamic_system(scene: Scene) -> None:
    """Begin the system prompt with the time of day and the customer's name."""
    seconds, names = count(step=7), cycle(_CUSTOMERS)

    for chat in scene.chats():
        name = next(names)

        @dynamic_prompt
        def prompt(request: ModelRequest, name: str = name) -> str:  # noqa: ARG001
            time = _MORNING + timedelta(seconds=next(seconds))
            now = f"It is {time:%A, %d %B %Y, %H:%M:%S}. You are speaking with {name}."
            now = volatile(now) if scene.is_remedied else now
            return f"{now}\n\n{scene.collection.instructions}"

        caching = [PromptCacheMiddleware()] if scene.is_remedied else []
        tools, middleware = [_search_tool(scene)], [prompt, *caching]
        agent = create_agent(_model(scene), tools, middleware=middleware)
        _talk(agent, scene.questions(chat, tool=_SEARCH))


def _shuffled_tools(scene: Scene) -> None:
    """Give an agent its tools in another order for each question."""
    chance, model = random.Random(7), _model(scene)  # noqa: S311 - nothing secret
    instructions = scene.collection.instructions
    groups = dict(_groups(scene.collection.passages))
    tools = [_group_tool(scene, name, group) for name, group in groups.items()]
    keys = {name: {it.key for it in group} for name, group in groups.items()}
    for chat in scene.chats():
        best = scene.search(chat.turns[0].question, 1)[0].key
        used = next(name for name, known in keys.items() if best in known)
        messages: list[BaseMessage] = []
        for question in scene.questions(chat, tool=used):
            listed = chance.sample(tools, len(tools))
            agent = create_agent(
                model,
                listed,
                system_prompt=instructions,
                middleware=[PromptCacheMiddleware()] if scene.is_remedied else [],
            )
            messages = _talk(agent, iter([question]), messages)


def _map_reduce(scene: Scene) -> None:
    """Ask about many documents at once, and then about the answers."""
    prompt = ChatPromptTemplate([("system", "{rules}"), ("human", "{text}\n\n{task}")])
    options = {} if scene.is_remedied else {"fan_out": False}
    chain = prompt | _model(scene).bind(prompt_cache=options) | StrOutputParser()
    collection = scene.collection
    titles = "\n".join(dict.fromkeys(it.title for it in collection.passages))
    rules = f"{collection.instructions}\n\nThere are documents on these:\n{titles}"
    mapped = collection.passages[:_MAPPED]
    task = "Sum this document up in one sentence."
    asked = [{"rules": rules, "text": it.text, "task": task} for it in mapped]
    for _ in range(len(mapped) + 1):
        scene.emulator.answers.push(_SUMMARY)
    found = asyncio.run(chain.abatch(asked))
    scene.pass_time(1)
    task = "Make one list of these sentences, without any that say the same."
    chain.invoke({"rules": rules, "text": "\n".join(found), "task": task})


# Requests at once need a clock that runs: an entry takes a while to be written.
_map_reduce.speed = 1.0  # type: ignore[attr-defined]

CASES: Mapping[str, Callable[[Scene], None]] = {
    "retrieval_chain": _retrieval_chain,
    "agent_with_retriever": _agent_with_retriever,
    "dynamic_system": _dynamic_system,
    "shuffled_tools": _shuffled_tools,
    "map_reduce": _map_reduce,
}


def _talk(
    agent: Any, questions: Iterator[str], messages: Sequence[BaseMessage] = ()
) -> list[BaseMessage]:
    """Ask an agent one question after the other; return all that was said."""
    said = list(messages)
    for question in questions:
        said = agent.invoke({"messages": [*said, HumanMessage(question)]})["messages"]
    return said


def _search_tool(scene: Scene) -> BaseTool:
    about = "Search the documents for what answers a question."
    return create_retriever_tool(_retriever(scene), _SEARCH, about)


def _group_tool(scene: Scene, name: str, group: Sequence[Passage]) -> BaseTool:
    titles = "; ".join(dict.fromkeys(it.title for it in group))
    about = shorten(f"Search what there is on {titles}", _DESCRIPTION_CHARACTERS)
    return create_retriever_tool(_Retriever(scene=scene, among=group), name, about)


def _groups(passages: Sequence[Passage]) -> Iterator[tuple[str, tuple[Passage, ...]]]:
    """Yield neighbouring passages by the name of the tool that searches them."""
    size = -(-len(passages) // _TOOLS)
    for number, start in enumerate(range(0, len(passages), size), start=1):
        yield f"{_SEARCH}_{number:02}", tuple(passages[start : start + size])


def _retriever(scene: Scene) -> BaseRetriever:
    retriever = _Retriever(scene=scene)
    if not scene.is_remedied:
        return retriever
    return StableDocumentOrder(prompt_cache=scene.cache).around(retriever)


def _model(scene: Scene) -> BaseChatModel:
    url = scene.emulator.url
    return _CLASSES[scene.provider](
        **scene.options,
        api_key="any",
        base_url=f"{url}/v1" if scene.provider == "openai" else url,
        max_retries=0,
    )


def _literal(text: str) -> str:
    """Return a text as a template that stands for it."""
    return text.replace("{", "{{").replace("}", "}}")
