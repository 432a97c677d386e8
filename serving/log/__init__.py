"""Bounded reads of the topics, for what Redis does not hold.

Nothing is committed and no group is joined: the pipeline does not notice. Every read ends after a
given time, whatever the broker does, and says how far it came.
"""
