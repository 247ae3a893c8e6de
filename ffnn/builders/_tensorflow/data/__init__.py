"""From a data set in NumPy to batches in TensorFlow."""
