"""Chains with documents on GPTs."""

import pytest
from langchain_documents import both_ways, our_chain, share, stock_chain, words


@pytest.mark.parametrize("kind", ["chat", "responses"], indirect=True)
def test_same_texts_more_read(emulator, cached):
    """The same texts reach the model in every turn, and more of them are read."""
    stock, ours = both_ways(emulator, stock_chain(cached), our_chain(cached))

    assert [words(row.body) for row in ours] == [words(row.body) for row in stock]
    assert share(stock) == 0
    assert share(ours) > 0.3
