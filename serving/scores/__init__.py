"""Latest scores in memory, their history and their stream, read from Redis.

The pipeline alone writes there. Every read is bounded in time, and bytes that are no message are
passed over, never an error of the request.
"""
