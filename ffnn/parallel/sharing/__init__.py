"""Transformers that are fitted once for the same parameters and data: in a process, or by all workers."""
