"""References of `check`, and the comparison of a method with its own."""
