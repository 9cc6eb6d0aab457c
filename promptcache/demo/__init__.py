"""A real agent over the standard library's own sources, with the plugin and without.

`library` and `agent` say what is asked, `langchain_agent` runs it in a framework,
`run` turns what was measured into rows, and `cli` prints them.
"""
