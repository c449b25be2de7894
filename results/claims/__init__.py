"""What the papers claim in words, held against the records."""
