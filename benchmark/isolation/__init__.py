"""What a method may not do in the process it shares with others: change it, end it, or read what it was not handed."""
