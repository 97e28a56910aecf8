"""The command writes where it is told, with the pictures of the same question."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from bimotion.adaptation import METHODS
from bimotion.analysis import report as reporting
from bimotion.analysis.report.html import page
from bimotion.errors import RecordError
from bimotion.io import checksums
from bimotion.results.record import AdaptUsed
from tests.support.command_line import bimotion_process, run_main
from tests.support.reports import IN_GROUP, keep, made, section, view_of

SHOWN = "trained on eng_eld; eng_adu, tested on eng_eld"


@pytest.fixture
def drawn(tmp_path):
    """A run and its folder, which holds a picture of it and stands beside others."""
    run = made({"eng_eld": IN_GROUP})
    folder, model = tmp_path / "model" / run.result.key, run.result.model
    changes = {
        "track": {"track": "finetune"},
        "synthetic": {"synthetic": True},
        "limit": {"limit": 3},
        "revision": {"model": replace(model, revision="other")},
        "corpus": {"corpora": {"yuemotion": 60}},
        "clips": {"corpora": dict.fromkeys(run.result.data.corpora, 10**6)},
    }
    keep(view_of(run.result, track="finetune", synthetic=True), folder / "projection")
    keep(view_of(run.result), folder.parent / "projection-1")
    for name, change in changes.items():
        keep(view_of(run.result, **change), folder.parent / f"projection-{name}")
    return run, folder


def test_pictures_of_the_same_question_are_shown_and_others_are_not(drawn):
    run, folder = drawn
    report = reporting.report_of(run, folder)
    shown = section(report, "projections")
    paths = [folder / "projection", folder.parent / "projection-1"]
    assert [picture.path.parent for picture in shown.pictures] == paths
    synthetic = "; SYNTHETIC data: these numbers say nothing about people"
    assert [picture.caption for picture in shown.pictures] == [SHOWN + synthetic, SHOWN]
    for grid in shown.grids:
        head = [value.text for value in grid.head]
        assert head[:5] == ["training set", "class", "training", "test", "coverage"]
        assert [row[4].text for row in grid.rows] == ["0.50", "–"]
    assert page(report).count("data:image/png;base64,") == 2
    assert "](../projection-1/projection.png)" in report.markdown(folder)


def test_pictures_of_an_adapted_run_say_so_and_a_broken_record_of_one_is_refused(drawn):
    run, folder = drawn
    adapt = AdaptUsed.of(METHODS["coral"], "transductive")
    adapted = replace(run, result=replace(run.result, adapt=adapt))
    [_, picture] = section(reporting.report_of(adapted, folder), "projections").pictures
    assert picture.caption == f"{SHOWN}; features before adaptation"
    (folder / "projection" / "coverage.json").write_text("{")
    message = r"projection/coverage.json: expected a projection in JSON.* make it again or remove"
    with pytest.raises(RecordError, match=message):
        reporting.report_of(run, folder)


def test_the_command_writes_where_it_is_told(folders, tmp_path, monkeypatch):
    words = ("report", folders(), "--output", tmp_path / "new", "--format", "html")
    done = bimotion_process(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'new' / 'report.html'}\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    shutil.copytree(folders(), tmp_path / "run")
    paths = [tmp_path / "run" / name for name in ("report.html", "report.md")]
    shown = run_main(monkeypatch, ["report", tmp_path / "run"])[1]
    assert shown.split() == list(map(str, paths))
    assert paths[0].read_bytes() == (tmp_path / "new/report.html").read_bytes()


@pytest.fixture
def refused(monkeypatch):
    """Asserts that a folder is refused in one line that says why."""

    def check(folder, message):
        code, shown, errors = run_main(monkeypatch, ["report", folder])
        assert (code, shown, len(errors.splitlines())) == (2, "", 1)
        assert message in errors
        assert not (folder / "report.html").exists()

    return check


def test_a_folder_without_a_run_is_refused(folders, tmp_path, refused):
    message = "expected the folder of a run, which holds result.json; found none"
    refused(tmp_path / "nowhere", message)
    output = folders().parents[1]
    refused(output, f"found runs in {min(path.parent for path in output.glob('*/*/result.json'))}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("predictions.parquet", None, "expected predictions in Parquet, found"),
        ("predictions.parquet", "no table", "expected predictions in Parquet, found"),
        ("result.json", "{", "expected a result in JSON, found"),
        ("result.json", "[]", "result: expected an object, found []"),
    ],
)
def test_damaged_files_are_refused(folders, tmp_path, refused, name, content, message):
    folder = tmp_path / "run"
    shutil.copytree(folders(), folder)
    (folder / name).write_text("other")
    refused(folder, f"{name}: damaged or edited")
    (folder / checksums.SUMS_FILE).unlink()  # then only the schema tells
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    refused(folder, f"{name}: {message}")


def test_predictions_that_break_their_schema_are_refused(folders, tmp_path, refused):
    shutil.copy(folders() / "result.json", tmp_path)
    table = pd.read_parquet(folders() / "predictions.parquet")
    table.drop(columns="cell").to_parquet(tmp_path / "predictions.parquet")
    refused(tmp_path, "missing: cell")
    table.assign(reference=[[1]] * len(table)).to_parquet(tmp_path / "predictions.parquet")
    refused(tmp_path, "column reference: expected lists of 3 numbers, found one of 1")
