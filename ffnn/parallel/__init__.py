"""How tasks reach a worker and come back: the pool, joblib's backend, a task's envelope and its process."""
