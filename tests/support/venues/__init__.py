"""Local venues: WebSocket servers that speak the protocols of the live feeds, and misbehave."""
