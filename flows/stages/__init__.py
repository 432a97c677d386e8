"""What runs inside a dataflow: the stages that score ticks and the join of outcomes.

A stage takes one batch of one partition and returns it with what the stage adds. No I/O.
"""
