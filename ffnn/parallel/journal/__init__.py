"""A durable record of finished tasks, from which an interrupted search resumes.

A journal is a folder. Each process that records appends to a file of its own there (:mod:`~.records`), so a torn write
damages nothing but itself. :mod:`~.store` finds and adds records, :mod:`~.keys` names what a call computes by its
content, and :mod:`~.resume` puts the two between joblib and the executor.
"""
