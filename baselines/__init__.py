"""The baselines that the papers' methods are compared with, one file each."""
