"""The frozen protocols, and the recipes they train by."""
