"""The builder ``native``.

``library.py`` has what C is called with, ``network.py`` what a network is in C or why it is refused, ``panels.py`` how
weights lie in memory, ``model.py`` the model, ``sparse.py`` the one whose first weights meet stored entries alone.

In C, ``float32.c`` and ``float64.c`` are made of the headers, of which ``engine.h`` names all and has the functions
that are called: ``products.h``, ``functions.h``, ``steps.h`` and ``losses.h`` compute; ``stages.h``, ``forward.h`` and
``backward.h`` take a batch through the network and back.
"""
