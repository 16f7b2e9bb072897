"""Measures Sluice through its front door beside what people use instead; see `make bench`."""
