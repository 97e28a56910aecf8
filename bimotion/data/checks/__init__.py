"""What is wrong with a copy of the corpora, and what it holds."""
