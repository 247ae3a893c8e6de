"""The builder ``tf``, and what ``keras`` on TensorFlow shares with it. Nothing here is public.

A ``model`` is one fit's variables around a ``program``, which equal architectures share. The way of the data:
``samples`` brings a data set to TensorFlow, ``batches`` makes a batch of it, an ``epoch`` steps through the batches,
and ``traced_steps`` and ``fused_steps`` are the two ways to run epochs; ``prediction`` goes forward only.
"""
