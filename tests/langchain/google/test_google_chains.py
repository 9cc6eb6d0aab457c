"""Chains with documents on Gemini."""

import pytest
from langchain_documents import both_ways, our_chain, stock_chain, words


@pytest.mark.parametrize("kind", ["developer"], indirect=True)
def test_same_texts(emulator, make_cached):
    """The same texts reach the model in every turn; the instructions stay one text."""
    cached = make_cached()

    stock, ours = both_ways(emulator, stock_chain(cached), our_chain(cached))

    assert [words(row.body) for row in ours] == [words(row.body) for row in stock]
    assert len({str(row.body["systemInstruction"]) for row in ours}) == 1
    assert len({str(row.body["systemInstruction"]) for row in stock}) == len(stock)
