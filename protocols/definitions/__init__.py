"""The definitions of all protocols and training recipes."""
