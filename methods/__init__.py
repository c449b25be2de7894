"""The methods proposed in the papers, one file each, and the modules that all methods share."""
