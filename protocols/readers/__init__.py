"""Readers of the data sets' published layouts, one file a data set."""
