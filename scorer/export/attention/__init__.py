"""Attention as nodes that ONNX Runtime computes at once."""
