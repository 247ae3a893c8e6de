"""The ``tf`` builder, and the parts of it that ``keras`` shares where Keras runs on TensorFlow. Nothing here is public.

A ``model`` holds one fit's variables; the ``program`` that runs them is shared by all fits of an architecture.

- ``data``: a data set on its way to TensorFlow, and a batch of it.
- ``epoch``: an epoch, by a TensorFlow graph alone or with a compiled kernel; ``sparse_path`` chooses between them.
- ``prediction``: the forward pass and its gradients with respect to X.
"""
