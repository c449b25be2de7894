"""Reader of AffectNet in its two published releases."""

from .layouts import read

__all__ = ["read"]
