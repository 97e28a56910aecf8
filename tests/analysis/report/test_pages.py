"""The page and the Markdown show what the report holds, and hostile texts are no markup."""

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bimotion.analysis import report as reporting
from bimotion.analysis.feature_space import record as views
from bimotion.analysis.feature_space.coverage import Coverage
from bimotion.analysis.report.html import page
from bimotion.analysis.runs import Run
from bimotion.results.record import DataUsed, ModelUsed
from tests.support import browser
from tests.support.reports import (
    CREMA_D,
    CROSS_AGE,
    IN_GROUP,
    keep,
    made,
    report_of,
    section,
    view_of,
)

HOSTILE = (
    "</script><script>hit()</script><img src=x onerror=hit()>\"'|`[x](javascript:hit())*\n<svg "
    "onload=hit()>{{ 7 * 7 }}{% include 'frame.html' %}"
)
CONTRASTS = Path(__file__).with_name("contrasts.js").read_text(encoding="utf-8")
CUT = """[...document.querySelectorAll("svg.drawing text")].filter((text) => {
  const box = text.getBBox(), whole = text.ownerSVGElement.viewBox.baseVal;
  return box.x < -1 || box.x + box.width > whole.width + 1 || box.y + box.height > whole.height + 2;
}).map((text) => text.textContent)"""
"""Texts that a picture cuts off."""
FORBIDDEN = {"script", "iframe", "form", "input", "button"}


class Cells(HTMLParser):
    """Texts of the cells of every table, and all elements with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.elements, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, text):
        if self.inside:
            self.tables[-1][-1][-1] += text


def assert_tables_are_even(markdown) -> int:
    """Every row of a table has as many cells as the others; how many tables there are."""
    tables = [block for block in markdown.split("\n\n") if block.startswith("|")]
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
    return len(tables)


def _shown(value):
    return value.text + f" {value.mark}" * bool(value.mark) + value.detail


def test_the_page_shows_what_the_report_holds(reported):
    report, folder = reported("valence")
    text, shown = page(report), []
    for part in report.sections:
        for grid in sorted(part.grids, key=lambda grid: grid.folded):
            rows = (grid.head, *grid.rows)
            shown.append([[_shown(value) for value in row] for row in rows])
    assert Cells(text).tables == shown
    assert all(title in text for title in ("Table 3", "Table 4", "Table 5", "SYNTHETIC"))
    assert text == page(report_of(folder))  # the same bytes


def test_markdown_is_tables_that_render(reported):
    report, folder = reported("emotion")
    text = report.markdown(folder)
    assert assert_tables_are_even(text) == sum(len(part.grids) for part in report.sections)
    assert text.count("\n## ") == len(report.sections)
    for row in section(report, "scores").grids[0].rows:
        assert all(str(value) in text for value in row)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report whose every text that comes from a file is hostile; with a picture."""
    folder, pairs = tmp_path_factory.mktemp("hostile"), {HOSTILE: HOSTILE}
    run = made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE}, model=HOSTILE)
    ages = {"assumed": 1, HOSTILE: 1}
    used = replace(CREMA_D, speakers_shared=HOSTILE, left_out={HOSTILE: 1}, age_source=ages)
    made_by = {"versions": pairs, "device": HOSTILE, "finished": HOSTILE}
    result = replace(
        run.result,
        model=ModelUsed(HOSTILE, HOSTILE, HOSTILE, pairs | {"unmapped": HOSTILE}),
        data=DataUsed.of(HOSTILE, {HOSTILE: used, "crema_d": used}),
        provenance=replace(run.result.provenance, **made_by),
        skipped=[replace(skip, reason=HOSTILE) for skip in run.result.skipped],
        fits=[replace(fit, train=HOSTILE, facts=pairs) for fit in run.result.fits],
        scores=[
            replace(score, reason=HOSTILE, low=None, untrained=[HOSTILE])
            for score in run.result.scores
        ],
    )
    rows = [views.Row(HOSTILE, HOSTILE, Coverage(1, 1, 5, reason=HOSTILE))]
    view = view_of(result, panels={HOSTILE: [HOSTILE]}, test=[HOSTILE], coverage=rows)
    keep(view, folder / "projection-<b>")
    return reporting.report_of(Run(result, run.predictions.assign(speaker=HOSTILE)), folder)


def test_hostile_texts_are_no_markup(hostile, tmp_path):
    text = page(hostile)
    elements = Cells(text).elements
    names = {name for _, given in elements for name in given}
    assert not {tag for tag, _ in elements} & FORBIDDEN
    assert not [name for name in names if name.startswith("on") or name == "style"]
    sources = [given["src"] for tag, given in elements if tag == "img"]
    assert [source[:22] for source in sources] == ["data:image/png;base64,"]
    for address in [given["href"] for tag, given in elements if tag == "a"]:
        assert re.fullmatch(r"#[a-z]+|https://arxiv.org/abs/2306.14517", address)
    assert text.count("&lt;/script&gt;") > 20
    markdown = hostile.markdown(tmp_path)
    assert "<" not in markdown
    assert not re.findall(r"(?<!\\)\[x\]", markdown)
    assert_tables_are_even(markdown)


def opened(report, folder):
    """The page of a report in a browser, in which nothing may go wrong."""
    (folder / "report.html").write_text(page(report), encoding="utf-8")
    return browser.opened((folder / "report.html").as_uri())


@browser.needs_chromium
def test_it_reads_in_a_browser_light_dark_and_on_a_phone(reported, tmp_path):
    with opened(reported("emotion")[0], tmp_path) as shown:
        assert shown.run("document.title") == "bimotion/random · BiMotion report"
        targets = "[...document.querySelectorAll('.contents a, .stamps a')].map(link => link.hash)"
        assert shown.run(f"{targets}.every(hash => document.querySelector(hash))")
        assert shown.run("document.querySelectorAll('details[open]').length") == 0
        shown.run("document.querySelectorAll('details').forEach(part => part.open = true)")
        for width, dark in itertools.product((1280, 390), (False, True)):
            shown.look(width, 900, dark=dark)
            assert shown.run("document.documentElement.scrollWidth") <= width
            assert shown.run(
                "[...document.querySelectorAll('.scroll')].every(part => "
                "part.getBoundingClientRect().right <= innerWidth)"
            )
            assert shown.run(CUT) == []
            low = {name: ratio for name, ratio in shown.run(CONTRASTS) if ratio < 4.5}
            assert low == {}, (width, dark)
        heats = shown.run(
            "[...document.querySelectorAll('#transfer td.heat')].map(cell => "
            "getComputedStyle(cell).backgroundColor)"
        )
        assert len(set(heats)) > 5


@browser.needs_chromium
def test_hostile_texts_are_shown_and_do_not_run(hostile, tmp_path):
    with opened(hostile, tmp_path) as shown:
        assert shown.run("document.querySelector('h1').lastChild.textContent") == HOSTILE
        hits = "document.querySelectorAll('script, iframe, svg[onload], img[onerror]').length"
        assert shown.run(hits) == 0
        images = (
            "[...document.images].map(image => [image.alt.includes('<img'), image.naturalWidth])"
        )
        assert shown.run(images) == [[True, 1]]
