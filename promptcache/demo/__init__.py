"""A real agent over the standard library's own sources, with the plugin and without.

`library` and `agent` say what is asked, `langchain_agent` and `llamaindex_agent` run it
in a framework, `run` turns what was measured into rows, and `cli` prints them.
"""
