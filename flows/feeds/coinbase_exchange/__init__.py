"""Coinbase Exchange: ``wss://ws-feed.exchange.coinbase.com``."""
