"""Names of objects after their content, equal in every process: of what a task computes, of what a transformer fits.

:mod:`~.digest` makes the digest of an object, :mod:`~.code` that of a function, class or module in it. :mod:`~.draws`
tells what no digest can: whether the same object gives the same result each time.
"""
