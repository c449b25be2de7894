"""What every method must do, whatever its idea: checks on a toy data set, for registered methods and for a user's."""
