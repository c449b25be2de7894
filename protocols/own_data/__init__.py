"""A user's own pictures and labels: protocols written as TOML files, their tables, prepared pictures and checks."""
