"""Exports into a folder that was used before: no record of an entry that is gone stays."""

import dataclasses

from bimotion.leaderboard import every_eval, hub_results


def test_no_record_of_before_stays(built, folder, tmp_path):
    def exported(board):
        hub_results.write_hub_results(board, "org/bimotion", tmp_path)
        every_eval.write(board, folder, tmp_path, clips=False)
        return {path for path in tmp_path.rglob("*") if path.is_file()}

    before = exported(built)
    theirs = tmp_path / "org__notes" / "README.md"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    gone = dataclasses.replace(built, entries=built.entries[1:])
    after = exported(gone)
    assert theirs in after
    assert len(before - after) == 3
    assert exported(dataclasses.replace(built, entries=[])) == {theirs, tmp_path / "eval.yaml"}
