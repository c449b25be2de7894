"""Stored trials: the content of their files, and how these are written, read, cached and shipped."""
