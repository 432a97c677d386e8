"""Binance spot: combined and raw streams."""
