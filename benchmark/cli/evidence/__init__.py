"""Commands that draw conclusions from stored results of many protocols: `claims` and `meta`."""
