"""The corpora as Hugging Face data sets: build, load, export, publish."""
