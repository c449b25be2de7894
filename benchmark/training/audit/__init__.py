"""What a trial's methods did with given labels, compared with the reference labels that they do not see."""
