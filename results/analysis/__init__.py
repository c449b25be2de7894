"""Numbers of many records: grouping, comparisons, rankings, what changed."""
