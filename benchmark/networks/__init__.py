"""Encoders, necks and their initial weights."""
