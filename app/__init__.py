"""Sluice: files dropped into a folder become trustworthy PostgreSQL tables."""
