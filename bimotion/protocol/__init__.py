"""What is asked: cells of language and age, label schemas, settings, the paper's printed numbers.
Words only."""
