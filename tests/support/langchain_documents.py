"""A conversation about documents, led by LangChain's order of them and by ours."""

import re
from itertools import count

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from langchain_promptcache import (
    create_prompt_cached_retrieval_chain,
    create_prompt_cached_stuff_documents_chain,
)

TURNS = 6
RULES = "You are a clerk of a railway museum, and answer from the register. " * 90
PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", RULES + "\n\n{context}"),
        MessagesPlaceholder("chat_history", optional=True),
        ("human", "{input}"),
    ]
)

# Documents that one test has given out would be known to the next one.
_seeds = count(1_000, 1_000)


class Register(BaseRetriever):
    """Finds three other documents for each number."""

    def _get_relevant_documents(self, query, *, run_manager):
        number = int(re.search(r"\d+", query)[0])
        return [leaf(number), leaf(number + 100), leaf(number + 200)]


def leaf(number):
    return Document(f"Leaf {number}: " + f"the T {number} was kept in shed. " * 40)


def stock_chain(model):
    """Return what LangChain's own functions make of the same arguments."""

    def joined(inputs):
        return "\n\n".join(it.page_content for it in inputs["context"])

    combine = RunnablePassthrough.assign(context=joined) | PROMPT | model
    return RunnablePassthrough.assign(
        context=RunnableLambda(lambda it: it["input"]) | Register()
    ).assign(answer=combine | (lambda message: message.text))


def our_chain(model):
    combine = create_prompt_cached_stuff_documents_chain(model, PROMPT)
    return create_prompt_cached_retrieval_chain(Register(), combine)


def lead(chain, emulator, seed):
    """Lead a conversation of questions that find other documents each."""
    talk = []
    for turn in range(TURNS):
        emulator.answers.push(f"It was number {turn}. " * 60)
        question = f"What of number {seed + turn}? " * 12
        result = chain.invoke({"input": question, "chat_history": talk})
        talk = [*talk, HumanMessage(question), AIMessage(result["answer"])]


def both_ways(emulator, stock, ours):
    """Return the rows of a conversation led by one chain, and then by another."""
    seed = next(_seeds)
    lead(stock, emulator, seed)
    rows = list(emulator.ledger)
    emulator.clock.advance(7_200)
    lead(ours, emulator, seed)
    return rows, list(emulator.ledger)[len(rows) :]


def words(body):
    """Return the words of a body, wherever they stand in it."""
    said = []

    def look(value):
        if isinstance(value, dict):
            for key in ("text", "content", "parts"):
                look(value.get(key))
        elif isinstance(value, list):
            for item in value:
                look(item)
        elif isinstance(value, str):
            said.extend(value.split())

    for key in ("system", "systemInstruction", "messages", "input", "contents"):
        look(body.get(key))
    return sorted(said)


def share(rows):
    """Return how much of the prompts was read from the cache."""
    read = sum(row.cache_read_input_tokens for row in rows)
    return read / sum(row.total_input_tokens for row in rows)
