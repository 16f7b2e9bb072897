"""What the commands do, apart from printing: each is one use case that reads top to bottom."""
