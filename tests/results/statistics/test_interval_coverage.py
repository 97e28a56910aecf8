"""Do 95 % intervals cover 95 %, and are equal models called different in 5 %? The fast version of
benchmarks/coverage.py, whose tables stand in docs/statistics.md.

300 sets: a share of 95 % is seen as 91.2 to 98.8 % and one of 5 % as 1.2 to 8.8 % in all but 3 of a
thousand looks (three standard errors). The bounds are these, and a point more for what the tables
show of few or of latent speakers. Of one speaker equal models are called different too often, as
the tables say: there the bounds hold what they say.
"""

import pytest

from benchmarks.coverage import EFFECTS, REAL, covered, known, rejected

SETS, CORPUS = 300, "eng_eld/crema_d"
# cheap, with unknown and single speakers; ESD once, whose two languages are simulated alike
RUN = [corpus for corpus in REAL if corpus.n_clips < 1600 and corpus.name != "zho_adu/esd"]


@pytest.mark.parametrize(
    ("n", "log_odds", "effect"),
    [
        (2, 0.85, "mild"),
        (3, 0.85, "strong"),
        (8, -0.4, "strong"),
        (46, 3.0, "mild"),
    ],
)
def test_of_known_speakers(n, log_odds, effect):
    shares = covered(known(n, log_odds), EFFECTS[effect], SETS)
    errors = rejected(known(n, log_odds), EFFECTS[effect], SETS)
    for metric in ("weighted_f1", "uar"):
        assert 0.90 <= shares[CORPUS, metric][0] <= 1
        assert errors[CORPUS, metric] <= 0.10


def test_of_one_speaker_beside_known_ones():
    shares = covered(known(1, 0.85), EFFECTS["strong"], SETS)
    errors = rejected(known(1, 0.85), EFFECTS["strong"], SETS)
    for metric in ("weighted_f1", "uar"):
        assert 0.88 <= shares[CORPUS, metric][0] <= 1
        assert errors[CORPUS, metric] <= 0.20


@pytest.mark.parametrize("effect", EFFECTS)
def test_of_real_cells_with_unknown_and_single_speakers(effect):
    shares = covered(RUN, EFFECTS[effect], SETS)
    errors = rejected(RUN, EFFECTS[effect], SETS)
    for key in shares:
        assert 0.90 <= shares[key][0] <= 1, key
        assert errors[key] <= 0.10, key
