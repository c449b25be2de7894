"""Packs: pictures decoded and aligned once into one file, read many times."""
