"""What a topic holds, counted while it is read: against its schema, its order and its promises.

``contracts`` says what a message of each topic is, ``tally`` counts batches and does no I/O,
``findings`` says what of it is wrong, ``summary`` shows all of it.
"""
