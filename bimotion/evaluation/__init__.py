"""Protocol x data x model -> predictions: plan, run, and the tracks, one file each."""
