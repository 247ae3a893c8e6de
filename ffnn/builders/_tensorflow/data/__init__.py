"""Transfers a data set from NumPy to TensorFlow, and makes batches of it."""
