"""The papers' own methods, one file each, and what all methods share."""
