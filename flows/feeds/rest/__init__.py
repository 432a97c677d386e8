"""Live feeds that ask a venue over HTTP, again and again, where a WebSocket is not possible."""
