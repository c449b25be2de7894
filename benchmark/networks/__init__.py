"""Encoders, necks, and the weights they start from."""
