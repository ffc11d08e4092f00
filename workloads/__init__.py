"""What is run: networks and data, their way onto a chip, experiments on it, and the result that comes back."""
