"""Runs any method on any protocol under the same settings."""
