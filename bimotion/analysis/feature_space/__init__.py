"""Where clips of two cells lie in the feature space of a model: pictures, coverage, gains."""
