"""Tables of probabilities: how well those of test faces fit labels and votes, how those of training rows find wrong labels."""
