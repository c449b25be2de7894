"""AffectNet in its two published layouts."""
