"""The command line `fernoise-bench`."""

from .app import main

__all__ = ["main"]
