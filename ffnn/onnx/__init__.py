"""The operations of a network as nodes of an ONNX graph."""
