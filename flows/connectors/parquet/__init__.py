"""The archive: topics as Parquet files, exactly once by offset.

``layout`` names files, ``storage`` puts and reads them in a local folder (``s3``: in a bucket),
``state`` says which of them count, ``catalog`` lists those, ``tables`` turns messages into columns
and back, ``writer`` writes a run of offsets of one partition so that a kill leaves nothing torn and
nothing doubled, ``sink`` is Bytewax's.
"""
