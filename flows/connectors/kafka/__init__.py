"""Kafka clients: where a partition starts, how it is read, how a transaction is written.

The delivery guarantees live here. ``positions`` plans, ``source`` reads, ``transactions`` and
``sink`` write, ``watchdog`` ends a flow that stands still, ``reader`` reads whole topics for tools.
"""
