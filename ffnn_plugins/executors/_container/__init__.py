"""The parts of the executor ``container``."""
