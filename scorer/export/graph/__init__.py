"""From a PyTorch model to an ONNX graph, by one of two exporters, and to its precisions."""
