"""Frames that are made alike, read by compiled code; whatever else comes is left to the parsers."""
