"""The builder ``keras``. Nothing here is public.

``network`` makes a Keras model of a description, with ``layer`` for the stages that Keras has no layer for. On
TensorFlow the model trains by ``tensorflow``; on JAX and torch by ``jax`` and ``torch``, which share ``host`` and
``engine``. ``user`` is for a model of the user's own.
"""
