"""Reports of a run made by hand, and folders of runs on synthetic corpora."""

from pathlib import Path

import pytest

from bimotion.analysis import report as reporting
from bimotion.evaluation import run as runner
from tests.support.reports import CROSS_AGE, IN_GROUP, made


@pytest.fixture(scope="session")
def by_hand():
    return reporting.report_of(made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE}), Path("nowhere"))


@pytest.fixture(scope="session")
def folders(synth_root, tmp_path_factory):
    """Folder of a run of bimotion/random on synthetic corpora: schema, seeds."""
    output, known = tmp_path_factory.mktemp("runs"), {}

    def of(schema="valence", seeds=(0,)):
        if (schema, seeds) not in known:
            result = runner.evaluate(
                "bimotion/random", data_dir=synth_root, output=output, schema=schema, seeds=seeds
            )
            known[schema, seeds] = result.folder(output)
        return known[schema, seeds]

    return of
