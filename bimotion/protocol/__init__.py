"""The questions of the benchmark: cells of language and age, label schemas, settings, the paper's
printed numbers. Words only."""
