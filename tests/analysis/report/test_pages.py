"""The page and the Markdown show what the report holds, and hostile texts are no markup."""

import dataclasses
import itertools
import re
from html.parser import HTMLParser

import pytest

from bimotion.analysis import report as reporting
from bimotion.analysis.compare import Run
from bimotion.analysis.feature_space import record as views
from bimotion.analysis.feature_space.coverage import Coverage
from bimotion.analysis.report.html import page
from bimotion.results.record import (
    DataUsed,
    ModelUsed,
)
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


class Cells(HTMLParser):
    """Texts of the cells of every table, and all elements with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.elements, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, attributes))
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


def test_the_page_shows_what_the_report_holds(folders):
    report = report_of(folders())
    grids = [
        grid for one in report.sections for grid in sorted(one.grids, key=lambda grid: grid.folded)
    ]
    held = [
        [[value.text + value.detail for value in row] for row in (grid.head, *grid.rows)]
        for grid in grids
    ]
    text = page(report)
    assert Cells(text).tables == held
    assert all(title in text for title in ("Table 3", "Table 4", "Table 5", "SYNTHETIC"))
    assert text == page(report_of(folders()))  # the same bytes


def test_markdown_is_tables_that_render(folders):
    report = report_of(folders("emotion", (0, 1)))
    text = report.markdown(folders("emotion", (0, 1)))
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == sum(len(one.grids) for one in report.sections)
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert text.count("\n## ") == len(report.sections)
    headline = [value for row in section(report, "scores").grids[0].rows for value in row]
    assert all(str(value) in text for value in headline)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report whose every text that comes from a file is hostile; with a picture."""
    folder = tmp_path_factory.mktemp("hostile")
    run = made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE}, model=HOSTILE)
    used = dataclasses.replace(
        CREMA_D,
        speakers_shared=HOSTILE,
        left_out={HOSTILE: 1},
        age_source={"assumed": 1, HOSTILE: 1},
    )
    made_by = dataclasses.replace(
        run.result.provenance, versions={HOSTILE: HOSTILE}, device=HOSTILE, finished=HOSTILE
    )
    result = dataclasses.replace(
        run.result,
        model=ModelUsed(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE, "unmapped": HOSTILE}),
        data=DataUsed.of(HOSTILE, {HOSTILE: used, "crema_d": used}),
        provenance=made_by,
        skipped=[dataclasses.replace(skip, reason=HOSTILE) for skip in run.result.skipped],
        fits=[
            dataclasses.replace(fit, train=HOSTILE, facts={HOSTILE: HOSTILE})
            for fit in run.result.fits
        ],
        scores=[
            dataclasses.replace(one, reason=HOSTILE, low=None, untrained=[HOSTILE])
            for one in run.result.scores
        ],
    )
    rows = [views.Row(HOSTILE, HOSTILE, Coverage(1, 1, 5, reason=HOSTILE))]
    keep(
        view_of(result, panels={HOSTILE: [HOSTILE]}, test=[HOSTILE], coverage=rows),
        folder / "projection-<b>",
    )
    return reporting.report_of(Run(result, run.predictions.assign(speaker=HOSTILE)), folder)


def test_hostile_texts_are_no_markup(hostile, tmp_path):
    text = page(hostile)
    elements = Cells(text).elements
    assert {tag for tag, _ in elements} & {"script", "iframe", "form", "input", "button"} == set()
    assert [
        name
        for _, given in elements
        for name, _ in given
        if name.startswith("on") or name == "style"
    ] == []
    assert [dict(given)["src"][:22] for tag, given in elements if tag == "img"] == [
        "data:image/png;base64,"
    ]
    addresses = [dict(given)["href"] for tag, given in elements if tag == "a"]
    assert [
        one
        for one in addresses
        if not re.fullmatch(r"#[a-z]+|https://arxiv.org/abs/2306.14517", one)
    ] == []
    assert text.count("&lt;/script&gt;") > 20
    markdown = hostile.markdown(tmp_path)
    assert "<" not in markdown
    assert re.findall(r"(?<!\\)\[x\]", markdown) == []
    for block in markdown.split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def opened(report, folder):
    """The page of a report in a browser, in which nothing may go wrong."""
    (folder / "report.html").write_text(page(report), encoding="utf-8")
    return browser.opened((folder / "report.html").as_uri())


@browser.needs_chromium
def test_it_reads_in_a_browser_light_dark_and_on_a_phone(folders, tmp_path):
    with opened(report_of(folders("emotion", (0, 1))), tmp_path) as shown:
        assert shown.run("document.title") == "bimotion/random · BiMotion report"
        targets = "[...document.querySelectorAll('.contents a, .stamps a')].map(one => one.hash)"
        assert shown.run(f"{targets}.every(hash => document.querySelector(hash))")
        assert shown.run("document.querySelectorAll('details[open]').length") == 0
        shown.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        for width, dark in itertools.product((1280, 390), (False, True)):
            shown.look(width, 900, dark=dark)
            assert shown.run("document.documentElement.scrollWidth") <= width
            inside = (
                "[...document.querySelectorAll('.scroll')].every(one => "
                "one.getBoundingClientRect().right <= innerWidth)"
            )
            assert shown.run(inside)
            low = {name: ratio for name, ratio in contrasts(shown).items() if ratio < 4.5}
            assert low == {}, (width, dark)
        heats = shown.run(
            "[...document.querySelectorAll('#transfer td.heat')].map(one => "
            "getComputedStyle(one).backgroundColor)"
        )
        assert len(set(heats)) > 5


def contrasts(shown):
    """Of texts on their ground; of the hottest cell's, the deepest colour of the scale."""
    return dict(
        shown.run("""(() => {
      const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
      const solid = (layers) => {
        for (const one of layers) { context.fillStyle = one; context.fillRect(0, 0, 1, 1) }
        const pixel = [...context.getImageData(0, 0, 1, 1).data];
        const linear = pixel.slice(0, 3).map((value) => value / 255)
          .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
      };
      const ratio = (node, layers) => {
        const text = getComputedStyle(node).color;
        const [low, high] = [solid(layers), solid([...layers, text])].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      };
      const ground = getComputedStyle(document.body).backgroundColor;
      const heat = document.querySelector("#transfer td.heat");
      heat.style.setProperty("--share", 1);
      const hot = getComputedStyle(heat).backgroundColor;
      return [
        ...["h1", ".lead", ".lead small", "header p", ".stamps a", ".contents a", "h3",
        "thead th", ".quiet .value", "td small",
            ".note", ".caveats b", ".caveats li", ".caveats ul li", "summary", "footer p"]
          .map((name) => [name, ratio(document.querySelector(name), [ground])]),
        ["heat", ratio(heat, [ground, hot])],
        ["heat small", ratio(heat.querySelector("small"), [ground, hot])],
      ];
    })()""")
    )


@browser.needs_chromium
def test_hostile_texts_are_shown_and_do_not_run(hostile, tmp_path):
    with opened(hostile, tmp_path) as shown:
        assert shown.run("document.querySelector('h1').lastChild.textContent") == HOSTILE
        assert (
            shown.run(
                "document.querySelectorAll('script, iframe, svg[onload], img[onerror]').length"
            )
            == 0
        )
        assert shown.run(
            "[...document.images].map(one => [one.alt.includes('<img'), one.naturalWidth])"
        ) == [[True, 1]]
