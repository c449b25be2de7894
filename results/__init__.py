"""What comes out: the store, metrics, statistics and tables."""
