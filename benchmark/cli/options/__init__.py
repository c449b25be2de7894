"""Options that several commands share, and letters that the output cannot encode."""
