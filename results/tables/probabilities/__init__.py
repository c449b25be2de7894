"""Tables of probabilities: how well they fit test labels and votes, and how well they find wrong labels."""
