"""ONNX graphs as such: their files, names and nodes. Nothing here knows of models."""
