"""The executor of slots: a queue, and a thread a worker that takes from it."""
