"""The benchmark suite: ffnn beside its peers, each contestant in a process of its own.

    make bench          # everything, medians of three rounds: about an hour
    make bench-quick    # everything, smaller, in under five minutes

    python -m benchmarks.suite [--quick] [--only WORK ...] [--rounds 3] [--list] [--render]

What is measured is in ``works``, one module a subject; ``contest`` says what a work is, ``rounds`` runs the
processes, ``report`` makes the tables, ``page`` writes them into ``docs/performance.md``. No module imports anything
heavy at its top: a child's memory, and the time of its imports, are figures.
"""
