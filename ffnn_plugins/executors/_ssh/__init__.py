"""What the executor ``ssh`` is made of; ``container`` uses it, too."""
