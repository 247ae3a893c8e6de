"""Training: epochs, and the listeners that follow them."""
