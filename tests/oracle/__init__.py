"""The slow, plain oracle: from ``ticks.raw`` alone, what every output topic must contain.

It imports nothing of the flow but ``schemas``: one message at a time, dictionaries, no arrays.
Features come from the test suite's oracle, which recomputes a row from the symbol's memory and
judges a tick's order by the oracle's own rule.
"""
