"""The parts of the executor ``ssh``; ``container`` uses them, too."""
