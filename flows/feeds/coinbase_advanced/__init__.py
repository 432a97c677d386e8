"""Coinbase Advanced Trade: ``wss://advanced-trade-ws.coinbase.com``."""
