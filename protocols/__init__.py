"""Evaluation protocols: data sets, splits, label noise and training recipes."""
