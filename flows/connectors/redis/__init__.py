"""Redis beside the flow: the latest prediction per symbol, its history, and live quality.

Everything here is written after the Kafka commit by a thread of its own; a Redis that is away never
holds up scoring.
"""
