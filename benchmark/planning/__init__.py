"""From what a user asks for to trials, and what they would cost."""
