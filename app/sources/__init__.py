"""Ways in for data that nobody drops as a file."""
