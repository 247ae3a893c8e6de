"""What the executor ``container`` is made of."""
