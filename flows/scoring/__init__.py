"""Models: the store on disk, the ONNX sessions, and the scorer that swaps them while it runs.

Imports nothing of the streaming engine, so that training, the API and the flow share one copy.
"""
