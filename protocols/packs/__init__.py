"""Packs: the pictures of a data set, decoded and cropped or aligned once, in one file."""
