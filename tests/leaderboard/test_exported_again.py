"""Exports into a folder that was used before: no record of an entry that is gone stays, and none of
another board goes."""

import dataclasses
import shutil

import pytest

from bimotion.leaderboard import every_eval, exported, hub_results


@pytest.fixture
def export(folder, tmp_path):
    """Export a board; the files that are there then, and what was said."""

    def made(board, submissions=folder, dataset="org/bimotion"):
        lines = []
        hub_results.write_hub_results(board, dataset, tmp_path, say=lines.append)
        every_eval.write(board, submissions, tmp_path, clips=False, say=lines.append)
        return {path for path in tmp_path.rglob("*") if path.is_file()}, lines

    return made


def test_no_record_of_before_stays(built, export, tmp_path):
    before, _ = export(built)
    theirs = tmp_path / "org__notes" / "README.md"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    gone = dataclasses.replace(built, entries=built.entries[1:])
    after, lines = export(gone)
    assert theirs in after
    assert len(before - after) == 3
    words = "files of entries that are no longer exported"
    assert lines == [f"{tmp_path}: removed {n} {words}" for n in (2, 1)]
    left, _ = export(dataclasses.replace(built, entries=[]))
    assert left == {theirs, tmp_path / "eval.yaml", tmp_path / exported.LIST_FILE}


def test_records_of_another_board_stay(built, folder, export, tmp_path):
    """A clone of the datastore that all boards write into."""
    other = dataclasses.replace(built, entries=built.entries[:2])
    before, _ = export(other, tmp_path / "submissions", "other/bimotion")
    kept = {path: path.read_bytes() for path in before if path.name != exported.LIST_FILE}
    mine = dataclasses.replace(built, entries=built.entries[2:])
    for board in (mine, dataclasses.replace(built, entries=[])):
        assert export(board)[0] >= before
    assert {path: path.read_bytes() for path in kept} == kept
    # one whose list another machine holds
    (tmp_path / exported.LIST_FILE).unlink()
    assert export(dataclasses.replace(built, entries=[]))[0] >= kept.keys()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', "[" * 100_000])
def test_a_damaged_list_removes_nothing(built, export, tmp_path, text):
    before, _ = export(built)
    (tmp_path / exported.LIST_FILE).write_text(text)
    assert export(dataclasses.replace(built, entries=[]))[0] == before


def test_a_list_of_a_stranger_names_no_other_files(built, export, tmp_path):
    """Whoever writes into a datastore can write this file too."""
    export(built)
    path = tmp_path / exported.LIST_FILE
    theirs = tmp_path / "README.md"
    theirs.write_text("mine")
    elsewhere = tmp_path.parent / f"{tmp_path.name}.md"
    shutil.copy(theirs, elsewhere)
    more = f'"README.md", "../{elsewhere.name}", "{elsewhere}", '
    path.write_text(path.read_text().replace("[\n", f"[{more}\n"))
    export(dataclasses.replace(built, entries=[]))
    assert theirs.read_text() == elsewhere.read_text() == "mine"
