"""Real work over the standard library's own sources, with the plugin and without.

`library`, `agent` and `questions` say what is asked, `langchain_agent` and
`llamaindex_agent` do it in a framework with the models of `langchain_models` and
`llamaindex_models`, `run` turns what was measured into rows, and `cli` prints them.
"""
