"""LangChain's standard tests of retrievers, on the one that Gemini keeps texts of."""

import pytest

pytest.importorskip("langchain_tests", reason="it needs langchain-tests")
pytest.importorskip("numpy", reason="the vector store of these tests needs it")

from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests

from langchain_promptcache import GeminiResidentRetriever

TEXTS = [f"Engine {number} of the museum." for number in range(8)]


class TestResident(RetrieversIntegrationTests):
    """How many documents are wanted is told to the retriever that it stands around."""

    @pytest.fixture(autouse=True)
    def _served(self, cache):
        self.cache = cache
        embedding = DeterministicFakeEmbedding(size=8)
        self.store = InMemoryVectorStore.from_texts(TEXTS, embedding)

    @property
    def retriever_constructor(self):
        return self._made

    @property
    def retriever_query_example(self):
        return "Which engine is the oldest?"

    def _made(self, k=4):
        inner = self.store.as_retriever(search_kwargs={"k": k})
        return GeminiResidentRetriever(retriever=inner, prompt_cache=self.cache)
