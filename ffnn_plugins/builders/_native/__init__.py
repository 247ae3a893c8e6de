"""The builder ``native``.

``library.py`` has the structures and functions of C, ``network.py`` describes a network for C, ``panels.py`` has the
memory layout of weights, ``model.py`` the model, and ``sparse.py`` the model for very sparse rows.

``float32.c`` and ``float64.c`` include the headers. ``engine.h`` has the functions that Python calls; ``products.h``,
``functions.h``, ``steps.h`` and ``losses.h`` have the arithmetic; ``stages.h``, ``forward.h`` and ``backward.h`` the
forward and backward pass.
"""
