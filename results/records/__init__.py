"""Stored trials: what their files hold, how they are written, read, cached and shipped."""
