"""The archive: topics as Parquet files in a folder, exactly once by offset.

``tables`` turns messages into columns, ``layout`` names files, ``writer`` writes a run of offsets
of one partition so that a kill leaves nothing torn and nothing doubled, ``sink`` is Bytewax's.
"""
