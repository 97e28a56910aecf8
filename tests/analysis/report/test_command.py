"""The command writes where it is told, with the pictures of the same question."""

import dataclasses
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from bimotion.adaptation import METHODS
from bimotion.analysis import report as reporting
from bimotion.analysis.report.html import page
from bimotion.errors import RecordError
from bimotion.io import checksums
from bimotion.results.record import (
    AdaptUsed,
)
from tests.support.reports import IN_GROUP, keep, made, section, view_of


def test_pictures_of_the_same_question_are_shown_and_others_are_not(tmp_path):
    run = made({"eng_eld": IN_GROUP})
    folder, others = tmp_path / "model" / run.result.key, tmp_path / "model"
    changes = {
        "track": {"track": "finetune"},
        "synthetic": {"synthetic": True},
        "limit": {"limit": 3},
        "revision": {"model": dataclasses.replace(run.result.model, revision="other")},
        "corpus": {"corpora": {"yuemotion": 60}},
        "clips": {"corpora": dict.fromkeys(run.result.data.corpora, 10**6)},
    }
    keep(view_of(run.result, track="finetune", synthetic=True), folder / "projection")
    keep(view_of(run.result), others / "projection-1")
    for name, change in changes.items():
        keep(view_of(run.result, **change), others / f"projection-{name}")
    report = reporting.report_of(run, folder)
    found = section(report, "projections")
    assert {one.path.parent for one in found.pictures} == {
        folder / "projection",
        others / "projection-1",
    }
    assert [one.caption for one in found.pictures] == [
        "trained on eng_eld; eng_adu, tested on eng_eld; SYNTHETIC data: these numbers say "
        "nothing about people",
        "trained on eng_eld; eng_adu, tested on eng_eld",
    ]
    for grid in found.grids:
        assert [value.text for value in grid.head][:5] == [
            "training set",
            "class",
            "training",
            "test",
            "coverage",
        ]
        assert [row[4].text for row in grid.rows] == ["0.50", "–"]
    assert page(report).count("data:image/png;base64,") == 2
    assert "](../projection-1/projection.png)" in report.markdown(folder)
    adapted = dataclasses.replace(
        run,
        result=dataclasses.replace(
            run.result, adapt=AdaptUsed.of(METHODS["coral"], "transductive")
        ),
    )
    [_, picture] = section(reporting.report_of(adapted, folder), "projections").pictures
    assert picture.caption.endswith("; features before adaptation")
    (folder / "projection" / "coverage.json").write_text("{")
    with pytest.raises(
        RecordError, match=r"projection/coverage.json: expected JSON of `bimotion project`"
    ):
        reporting.report_of(run, folder)


def bimotion(*words):
    return subprocess.run(
        [sys.executable, "-m", "bimotion", *map(str, words)], capture_output=True, text=True
    )


def test_the_command_writes_where_it_is_told(folders, tmp_path):
    run = bimotion("report", folders(), "--output", tmp_path / "new", "--format", "html")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{tmp_path / 'new' / 'report.html'}\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    shutil.copytree(folders(), tmp_path / "run")
    run = bimotion("report", tmp_path / "run")
    assert run.stdout.split() == [
        str(tmp_path / "run" / name) for name in ("report.html", "report.md")
    ]
    assert (tmp_path / "run/report.html").read_bytes() == (
        tmp_path / "new/report.html"
    ).read_bytes()


def test_mistakes_are_one_line(folders, tmp_path):
    def refused(folder, said):
        run = bimotion("report", folder)
        assert (run.returncode, run.stdout) == (2, "")
        assert said in run.stderr
        assert len(run.stderr.splitlines()) == 1
        assert not (folder / "report.html").exists()

    refused(
        tmp_path / "nowhere", "expected the folder of a run, which holds result.json; found none"
    )
    output = folders().parents[1]
    refused(output, f"found runs in {min(path.parent for path in output.glob('*/*/result.json'))}")
    for name, text, said in (
        (
            "predictions.parquet",
            None,
            "predictions.parquet: expected predictions in Parquet, found",
        ),
        (
            "predictions.parquet",
            "no table",
            "predictions.parquet: expected predictions in Parquet, found",
        ),
        ("result.json", "{", "result.json: expected a result in JSON, found"),
        ("result.json", "[]", "result.json: result: expected an object, found ["),
    ):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(folders(), tmp_path / "run")
        (tmp_path / "run" / name).write_text("other")
        refused(tmp_path / "run", f"{name}: damaged or edited")
        (tmp_path / "run" / checksums.SUMS_FILE).unlink()  # then the schema alone tells
        (tmp_path / "run" / name).unlink()
        if text is not None:
            (tmp_path / "run" / name).write_text(text)
        refused(tmp_path / "run", said)
    shutil.copy(folders() / "result.json", tmp_path / "run")
    table = pd.read_parquet(folders() / "predictions.parquet")
    table.drop(columns="cell").to_parquet(tmp_path / "run/predictions.parquet")
    refused(tmp_path / "run", "missing: cell")
    table.assign(reference=[[1]] * len(table)).to_parquet(tmp_path / "run/predictions.parquet")
    refused(tmp_path / "run", "column reference: expected lists of 3 numbers, found one of 1")
