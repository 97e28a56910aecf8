"""The pictures of a report, each defined once for the page and for files.

axes.py          a field of a chart with its scales;  heat.py: a table of colours
labels.py        a bar a label, with its interval;  speakers.py: a dot a speaker, against age
calibration.py   how often a model is right, against its probabilities
transfers.py     the cells with an arrow a transfer
"""
