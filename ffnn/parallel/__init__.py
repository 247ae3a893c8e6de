"""Running tasks on workers: the pool, joblib's backend, the messages of a task, and the worker process."""
