"""The executor of slots: a queue of tasks, and one thread per worker that takes from it."""
