"""Kafka clients: where a partition starts, how it is read, how a transaction is written.

The delivery guarantees are kept here:

- ``client``: configuration, errors, first contact, producing with a full queue
- ``retry``: repeats calls whose errors pass
- ``admin``: creates topics, compares them, sizes their messages
- ``positions``: where each partition starts
- ``source``: reads each partition from there
- ``transactions``, ``sink``: write outputs and input offset together
- ``refusals``: what the errors of a transaction mean
- ``group``: shares the partitions out among members, by ``membership`` and ``ownership``
- ``watchdog``: ends a flow that stands still
- ``reader``: reads whole topics, for training and tools
"""
