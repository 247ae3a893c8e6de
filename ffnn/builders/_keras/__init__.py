"""The builder ``keras``. Nothing here is public.

``network`` makes a Keras model from a description, with a ``layer`` for the stages that Keras has no layer for. The
model trains with ``tensorflow``, ``jax`` or ``torch``, depending on Keras's backend; the last two share ``host`` and
``engine``. ``user`` is for models made by the user.
"""
