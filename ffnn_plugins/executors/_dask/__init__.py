"""The parts of the executor ``dask``."""
