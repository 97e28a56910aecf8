"""The report of a run made by hand."""

from pathlib import Path

import pytest

from bimotion.analysis import report as reporting
from tests.support.reports import CROSS_AGE, IN_GROUP, made


@pytest.fixture(scope="session")
def by_hand():
    return reporting.report_of(made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE}), Path("nowhere"))
