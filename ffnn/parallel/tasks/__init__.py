"""Tasks: how they and their large data are sent, and the process that runs them."""
