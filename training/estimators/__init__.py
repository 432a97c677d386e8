"""Estimators: input columns, recipes, fitted models and their ONNX graphs."""
