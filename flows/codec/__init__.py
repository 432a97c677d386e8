"""Bytes to columns and back: tick batches, predictions, features rows, dead letters.

Pure functions without I/O. A change here changes what is on the topics: the contracts are in
``schemas``, and the tests hold the fast paths to msgspec.
"""
