"""The archive: topics as Parquet files, exactly once by offset.

``layout`` names files, ``storage`` puts and reads them in a local folder, ``s3`` in a bucket,
``places`` tells which it is, ``mirror`` copies a bucket's into a folder, ``state`` says which of
them count, ``catalog`` lists those, ``tables`` turns messages into columns and back, ``writer``
writes a run of offsets of one partition so that a kill leaves nothing torn and nothing doubled,
``merging`` makes one file of many, ``sink`` is Bytewax's.
"""
