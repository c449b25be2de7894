"""One trial, from its rows and its first weights to its final files."""
