"""AffectNet in its two published layouts."""

from .layouts import read

__all__ = ["read"]
