"""Finished runs on synthetic corpora, and their reports."""

import pytest

from bimotion.evaluation import run as runner
from tests.support.reports import report_of


@pytest.fixture(scope="session")
def folders(synth_root, tmp_path_factory):
    """Folder of a run: model, split rule and other options of `evaluate`."""
    output, known = tmp_path_factory.mktemp("runs"), {}

    def of(model="random", rule="paper", schema="valence", **options):
        key = (model, rule, schema, str(options))
        if key not in known:
            asked = {"schema": schema, "split_rule": rule} | options
            result = runner.evaluate(
                f"bimotion/{model}", data_dir=synth_root, output=output, **asked
            )
            known[key] = result.folder(output)
        return known[key]

    return of


@pytest.fixture(scope="session")
def reported(folders):
    """A report and the folder of its run, of bimotion/random under a schema; two seeds under
    `emotion`."""
    known = {}

    def of(schema):
        if schema not in known:
            folder = folders(schema=schema, seeds=(0, 1) if schema == "emotion" else (0,))
            known[schema] = report_of(folder), folder
        return known[schema]

    return of
