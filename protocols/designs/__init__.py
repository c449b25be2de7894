"""Designs: how the rows of a cell are made from a data set or generated faces, by splits, folds and noise."""
