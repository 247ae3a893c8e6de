"""The ``tf`` builder, parts of which the ``keras`` builder uses when Keras runs on TensorFlow. Nothing here is public.

A ``model`` holds one fit's variables; the ``program`` that runs them is shared by all fits of an architecture.

- ``data``: transfers a data set to TensorFlow, and makes batches.
- ``epoch``: trains an epoch, by a TensorFlow graph alone or with a compiled kernel.
- ``prediction``: the forward pass and its gradients with respect to X.
"""
