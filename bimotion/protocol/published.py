"""The numbers that arXiv 2306.14517 prints."""

from bimotion.protocol.cells import BIMOTION_CELLS

CELLS = tuple(map(str, BIMOTION_CELLS))
SYNTHETIC = "SYNTHETIC data: these numbers say nothing about people"
PUBLISHED = {
    ("in-group", "inference"): (55.12, 70.28, 57.00, 97.00),
    ("cross-all", "inference"): (27.48, 9.71, 24.75, 28.71),
    ("cross-age", "inference"): (40.40, 27.69, 26.69, 14.56),
    ("cross-lingual", "inference"): (14.54, 32.42, 16.06, 57.54),
    ("cross-all", "augmentation"): (68.06, 77.24, 52.21, 97.40),
    ("cross-age", "augmentation"): (66.96, 75.47, 59.93, 97.00),
    ("cross-lingual", "augmentation"): (54.55, 74.13, 54.84, 95.82),
}
"""(transfer, method) -> weighted F1 in % of XLSR-53 for eng_eld, eng_adu, zho_eld, zho_adu, as
printed in the paper. Means are ours: the printed 57.34 of Table 4's cross-lingual row is not the
mean of its row, 69.84; the other printed means are."""
DISTANCE_TESTS = ("yue_adu", "eng_adu", "zho_adu")
PUBLISHED_DISTANCE = {
    "yue_adu+eng_adu+zho_adu": (47.59, 92.61, 93.75),
    "yue_adu+eng_adu": (43.59, 92.51, None),
    "yue_adu+zho_adu": (51.60, None, 97.00),
    "yue_adu": (45.33, None, None),
}
"""Training cells -> weighted F1 in % on yue, eng, zho as printed in Table 5."""
