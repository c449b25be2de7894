"""Suspicious labels as one HTML page of thumbnails, on which a person decides about each."""
