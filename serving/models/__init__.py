"""Which model answers a request, and how a request becomes feature rows."""
