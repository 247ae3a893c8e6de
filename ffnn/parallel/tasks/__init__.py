"""Tasks: how they travel, what becomes of their large data, and the process that runs them."""
