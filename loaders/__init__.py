"""The Hugging Face view: one builder and one dataset card each for BiMotion and YueMotion."""
