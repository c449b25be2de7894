"""What is measured: data sets, splits, label noise, recipes."""
