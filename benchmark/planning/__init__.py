"""Turns what a user asks for into trials, and estimates what they cost."""
