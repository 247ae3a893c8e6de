"""The builder ``keras``. Nothing here is public.

``network`` makes a Keras model of a description, with ``layer`` for the stages that Keras has no layer for;
``tensorflow``, ``jax`` and ``torch`` train it, the last two by ``host``. ``user`` is for a model of the user's own.
"""
