"""How tasks reach a worker and come back: the pool, joblib's backend, the envelope of a task and its process."""
