"""The page of documentation on reports shows what is printed, and knows every cause."""

from pathlib import Path
from textwrap import dedent
from typing import get_args

import pytest
from receipt_files import example

from promptcache import Report
from promptcache.receipts.miss import Cause, Form

PAGE = Path(__file__).parents[3] / "docs" / "reports.md"
if not PAGE.exists():
    pytest.skip("the documents are not in this copy", allow_module_level=True)


def test_table_is_what_is_printed():
    """The sample is the report on the receipts that the picture is made of."""
    report = Report()
    for receipt in example():
        report.add(receipt)
    blocks = PAGE.read_text(encoding="utf-8").split("\n\n")
    (sample,) = (it for it in blocks if it.startswith("    model  "))

    assert dedent(sample) == str(report)


def test_every_cause_has_a_row():
    """Causes and forms are in the table of remedies."""
    text = PAGE.read_text(encoding="utf-8")

    assert [
        it for it in (*get_args(Cause), *get_args(Form)) if f"`{it}`" not in text
    ] == []
