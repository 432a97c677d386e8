"""Inputs, estimators and their ONNX graphs: what a model is, not how good it is."""
