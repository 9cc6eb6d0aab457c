"""The report on files of receipts, for a terminal and as a page."""
