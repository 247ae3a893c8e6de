"""What the executor ``dask`` is made of."""
