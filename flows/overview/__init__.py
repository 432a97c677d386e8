"""What a running system does at this moment, gathered from broker, Redis, model store and API."""
