"""The keeper's own baselines by one command: run, entered, verified, ranked."""

import json

from bimotion.leaderboard.admission import BASELINES
from tests.support.command_line import run_here as bimotion


def test_the_first_board_is_one_of_baselines_and_the_papers_rows(synth_root, tmp_path):
    words = ["leaderboard", "baselines", "--corpora", synth_root, "--only", "tess,csed"]
    made = [
        bimotion(*words, "--practice", "--preset", preset, cwd=tmp_path)
        for preset in ("benchmark", "paper", "benchmark")
    ]
    assert [done.returncode for done in made] == [0] * 3, made[0].stderr
    assert made[0].stdout.count(": verified") == len(BASELINES)
    assert made[2].stdout == made[0].stdout  # nothing is done again
    built = bimotion("leaderboard", "build", "--practice", "-o", "site", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    board = json.loads((tmp_path / "site" / "board.json").read_text())
    splits = [(entry["split_rule"], entry["model"]) for entry in board["entries"]]
    both = {(split, name) for split in ("folds", "paper") for name in BASELINES}
    assert set(splits) == both
    assert len(splits) == len(both)
    for entry in board["entries"]:
        assert (entry["flags"]["status"], entry["flags"]["baseline"]) == ("reproduced", True)
        assert entry["trained_on"] == "nothing"
        assert entry["ranking"]["of"] == len(BASELINES)
    assert [row["model"] for row in board["references"]] == ["XLSR-53 (the paper)"]


def test_a_real_board_takes_no_baseline_of_synthetic_clips(synth_root, tmp_path):
    words = ["leaderboard", "baselines", "--corpora", synth_root, "--only", "tess,csed"]
    done = bimotion(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "expected real corpora, found synthetic ones" in done.stderr
    assert not (tmp_path / "leaderboard").exists()
