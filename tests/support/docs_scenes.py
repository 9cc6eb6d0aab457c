# ruff: noqa: PLC0415  what one page alone needs is imported for it
"""What the code of the docs takes for granted: an application of somebody's.

Rule 1: a name that a block uses and the page has not made is made here, when needed.
Rule 2: `...` in a call or a display stands for what the page says in words; what that
is stands here. A place that is not named fails, so that no block is run half.
"""

import ast
import importlib
import warnings
from textwrap import dedent

HANDBOOK = "Engines of the museum, and who built them. " * 300

IMPORTS = {
    "BaseModel": "pydantic",
    "CallbackManager": "llama_index.core.callbacks",
    "ChatPromptTemplate": "langchain_core.prompts",
    "Fault": "promptcache.emulator",
    "LLMToolSelectorMiddleware": "langchain.agents.middleware",
    "OpenAI": "llama_index.llms.openai",
    "PromptCacheCallbackHandler": "langchain_promptcache",
    "PromptCachedAnthropic": "llamaindex_promptcache",
    "PromptCachedChatAnthropic": "langchain_promptcache",
    "Settings": "llama_index.core",
    "create_agent": "langchain.agents",
    "date": "datetime",
    "get_dispatcher": "llama_index.core.instrumentation",
    "init_chat_model": "langchain.chat_models",
    "prompt_cached": "langchain_promptcache",
}
"""Names that an application imports, where it is not from promptcache."""
MODULES = {
    "anthropic": "anthropic",
    "genai": "google.genai",
    "logging": "logging",
    "openai": "openai",
    "promptcache": "promptcache",
}
ELSEWHERE = {
    ("llamaindex.md", "PromptCacheCallbackHandler"): "llamaindex_promptcache",
    ("llamaindex.md", "prompt_cached"): "llamaindex_promptcache",
}
"""Names that are another framework's on a page."""

AGAIN = {"langchain.md": ("model",), "llamaindex.md": ("llm",)}
"""Names that each block of a page means anew: any model, not the one made last."""

PLAIN = dedent(
    """
    RULES = rules = handbook = text = HANDBOOK
    x = "Who built the T 9?"
    texts = [HANDBOOK, HANDBOOK[:4000]]
    chunks = ["The T 9 was built in 1911."]
    history = []
    spans = {}
    """
)


def tool(name: str) -> str:
    """Look up an engine."""
    return f"{name} was built in 1911."


class Made:
    """Makes what a block lacks."""

    def __init__(self, page, emulator):
        self.page = page
        self.emulator = emulator
        self.names = {"HANDBOOK": HANDBOOK, "__name__": "docs"}
        exec(PLAIN, self.names)

    def supply(self, tree):
        """Make each name that a block reads before it has one."""
        for name in AGAIN.get(self.page, ()):
            self.names.pop(name, None)
        if "GenerativeModel" in ast.dump(tree):
            with warnings.catch_warnings():
                # It says that its support has ended, and what Python is too old.
                warnings.simplefilter("ignore", FutureWarning)
                self.names["genai"] = importlib.import_module("google.generativeai")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in self.names:
                self._make(node.id)

    def _make(self, name):
        module = ELSEWHERE.get((self.page, name)) or IMPORTS.get(name)
        if module:
            self.names[name] = getattr(importlib.import_module(module), name)
        elif name in MODULES:
            self.names[name] = importlib.import_module(MODULES[name])
        elif hasattr(self, f"make_{name}"):
            self.names[name] = getattr(self, f"make_{name}")()
        elif name in importlib.import_module("promptcache").__all__:
            self.names[name] = getattr(importlib.import_module("promptcache"), name)

    @property
    def is_llamaindex(self):
        return self.page == "llamaindex.md"

    def make_agent(self):
        if self.is_llamaindex:
            from llama_index.core.agent.workflow import FunctionAgent

            return FunctionAgent(tools=[tool], llm=self.make_llm(), system_prompt="Go.")
        from langchain.agents import create_agent

        return create_agent(self.make_model(), tools=[tool])

    def make_cache(self):
        from promptcache import default_cache

        return default_cache()

    def make_chain(self):
        from langchain_core.prompts import ChatPromptTemplate

        return ChatPromptTemplate.from_template("{question}") | self.make_model()

    def make_client(self):
        if self.page == "openai.md":
            import openai

            return openai.OpenAI()
        if self.page == "gemini.md":
            from google import genai

            return self._attached(genai.Client())
        import anthropic

        return anthropic.Anthropic()

    def _attached(self, client):
        from promptcache import attach

        return attach(client)

    def make_docstore(self):
        from llama_index.core.storage.docstore import SimpleDocumentStore

        return SimpleDocumentStore()

    def make_Engine(self):  # noqa: N802  it is the name of the page's class
        from pydantic import create_model

        return create_model("Engine", name=(str, ...), year=(int, ...))

    def make_emulator(self):
        return self.emulator

    def make_index(self):
        from llama_index.core import Document, MockEmbedding, VectorStoreIndex

        texts = [Document(text="The T 9 was built in 1911.")]
        index = VectorStoreIndex.from_documents(
            texts, embed_model=MockEmbedding(embed_dim=2)
        )
        if self.page != "llamaindex.md":
            from llama_index.core import Settings

            Settings.llm = self.make_llm()
        return index

    def make_llm(self):
        from llamaindex_promptcache import PromptCachedAnthropic

        return PromptCachedAnthropic(model="claude-sonnet-5-5")

    def make_message(self):
        return self.make_model().invoke("Who built the T 9?")

    def make_messages(self):
        from llama_index.core.llms import ChatMessage

        return [ChatMessage(role="user", content="Who built the T 9?")]

    def make_model(self):
        if self.page == "openai.md":
            from langchain_promptcache import PromptCachedChatOpenAI

            return PromptCachedChatOpenAI(model="gpt-6.1-sol", use_responses_api=True)
        from langchain_promptcache import PromptCachedChatAnthropic

        return PromptCachedChatAnthropic(model="claude-sonnet-5-5")

    def make_plain(self):
        from llama_index.llms.anthropic import Anthropic

        return Anthropic(model="claude-sonnet-5-5")

    def make_prompt(self):
        if self.is_llamaindex:
            from llama_index.core.prompts import PromptTemplate

            return PromptTemplate("Which engine was built in 1911?")
        from langchain_core.prompts import ChatPromptTemplate

        return ChatPromptTemplate.from_messages(
            [("system", "{context}"), ("user", "{input}")]
        )

    def make_receipt(self):
        cache = self.make_cache()
        with cache.collect() as receipts:
            self._asked(cache)
        return receipts[0]

    def _asked(self, cache):
        from langchain_promptcache import PromptCachedChatAnthropic

        model = PromptCachedChatAnthropic(model="claude-sonnet-5-5", prompt_cache=cache)
        return model.invoke("Who built the T 9?")

    def make_reranker(self):
        from llama_index.core.postprocessor import SimilarityPostprocessor

        return SimilarityPostprocessor()

    def make_response(self):
        return self.make_llm().chat(self.make_messages())

    def make_retriever(self):
        if self.is_llamaindex:
            return self.make_index().as_retriever()
        return self._store().as_retriever()

    def _store(self):
        from langchain_core.embeddings import DeterministicFakeEmbedding
        from langchain_core.vectorstores import InMemoryVectorStore

        store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
        store.add_texts([HANDBOOK, HANDBOOK[:4000]])
        return store

    def make_small_model(self):
        return self.make_model()

    def make_store(self):
        return self._store()

    def make_system(self):
        return ("system", HANDBOOK)

    def make_tools(self):
        return [tool]

    def make_vector_store(self):
        return self._store()


ASKED = {"messages": [("user", "Who built the T 9?")]}
GIVEN = {
    ("README.md", "create_agent.tools[]"): tool,
    ("anthropic.md", "cache.prewarm.model"): "claude-sonnet-5-5",
    ("anthropic.md", "cache.prewarm.system"): HANDBOOK,
    ("anthropic.md", "cache.prewarm.tools"): (),
    ("langchain.md", "PromptCachedChatOpenAI"): None,
    ("langchain.md", "agent.invoke"): ASKED,
    ("llamaindex.md", "OpenAI"): None,
    ("llamaindex.md", "PromptCachedOpenAIResponses"): None,
    ("llamaindex.md", "agent.run"): "Who built the T 9?",
    ("openai.md", "cache.prewarm.input.content"): HANDBOOK,
    ("openai.md", "cache.prewarm.model"): "gpt-6.1-sol",
    ("opentelemetry.md", "PromptCachedChatAnthropic"): {"model": "claude-sonnet-5-5"},
    ("prompts-fanout.md", "PromptCachedAnthropic"): {"model": "claude-sonnet-5-5"},
}
"""What `...` stands for. None: nothing. A dict for a class: its arguments."""

DONE = {
    "emulator.md": (
        "client.messages.create(model='claude-sonnet-5-5', max_tokens=9, "
        "messages=[{'role': 'user', 'content': 'Who built it?'}])"
    ),
    "llamaindex.md": "plain.complete('Who built it?')",
}
"""What is done where `...` is a statement of a page; elsewhere nothing is."""


class Filled(ast.NodeTransformer):
    """Puts what `...` stands for in its place."""

    def __init__(self, page, names):
        self.page = page
        self.names = names
        self.path = []

    def visit_Call(self, node):
        self.path.append(ast.unparse(node.func))
        args = []
        for arg in node.args:
            if not _is_dots(arg):
                args.append(self.visit(arg))
                continue
            given = GIVEN[self.page, ".".join(self.path)]
            if isinstance(given, dict) and self.path[-1][0].isupper():
                node.keywords = [
                    *(ast.keyword(key, ast.Constant(it)) for key, it in given.items()),
                    *node.keywords,
                ]
            elif given is not None:
                args.append(self._given(given))
        node.args = args
        for keyword in node.keywords:
            self.path.append(keyword.arg or "**")
            keyword.value = self._value(keyword.value)
            self.path.pop()
        self.path.pop()
        node.func = self.visit(node.func)
        return node

    def visit_Expr(self, node):
        if _is_dots(node.value) and self.page in DONE:
            return ast.parse(DONE[self.page]).body[0]
        return self.generic_visit(node)

    def visit_Dict(self, node):
        for at, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            self.path.append(getattr(key, "value", "**"))
            node.values[at] = self._value(value)
            self.path.pop()
        return node

    def visit_List(self, node):
        if self.path and any(map(_is_dots, node.elts)):
            self.path[-1] += "[]"
            node.elts = [self._value(it) for it in node.elts]
            self.path[-1] = self.path[-1].removesuffix("[]")
            return node
        return self.generic_visit(node)

    def _value(self, node):
        if not _is_dots(node):
            return self.visit(node)
        return self._given(GIVEN[self.page, ".".join(self.path)])

    def _given(self, value):
        name = f"given_{len(self.names)}"
        self.names[name] = value
        return ast.Name(name, ast.Load())


def _is_dots(node):
    return isinstance(node, ast.Constant) and node.value is ...
