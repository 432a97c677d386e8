"""Alerts about spikes: which predictions give one, what it says, and how it is posted."""
