"""The providers' caching rules, with no I/O.

Rule 1: nothing here reads a clock, the environment or a file; state and time come in
as values and decisions go out as values.
Rule 2: nothing here is shared with the planner but the rows of provider facts, so that
one misreading cannot pass on both sides.
"""
