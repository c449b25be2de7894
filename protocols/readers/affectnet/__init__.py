"""Reader of AffectNet in its two published releases."""
