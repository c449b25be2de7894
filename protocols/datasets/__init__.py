"""Data sets as a user has them: which are there, whether they are the published ones, a digest of their content."""
