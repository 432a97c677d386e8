"""The models that answer a request, and the feature rows that a request holds.

Both block: routes call them in a thread.
"""
