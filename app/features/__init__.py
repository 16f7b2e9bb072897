"""Versioned features of the risk scores: what each version is, which is active, its values."""
