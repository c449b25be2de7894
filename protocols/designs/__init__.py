"""From the rows of a data set to those of a cell: splits, folds, noise."""
