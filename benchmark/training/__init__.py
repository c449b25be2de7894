"""The training of one trial, from its rows and initial weights to its final files."""
