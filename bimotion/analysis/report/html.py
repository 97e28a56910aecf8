"""A report as one HTML page, without script: report.html is its template, and the page's policy
forbids the rest."""

from importlib import metadata

from bimotion.analysis.report.document import Picture, Report
from bimotion.io import drawing, html

STEPS = 50
"""Of the colour scale: the page's policy forbids style attributes, so shares are classes."""
SHOWN_NUMBERS = 8
"""Lines of a caveat that are shown at once; more are folded."""


def page(report: Report) -> str:
    """The page as HTML; the same bytes for the same report. Raises OSError where a picture has
    gone."""
    shares = "\n".join(f".s{step} {{ --share: {step / STEPS}; }}" for step in range(STEPS + 1))
    return html.render(
        __package__,
        "report.html",
        style="\n".join([html.part("report.css", __package__), shares, drawing.style()]),
        report=report,
        version=metadata.version("bimotion"),
        steps=STEPS,
        shown_numbers=SHOWN_NUMBERS,
        address_of=_address,
        svg_of=drawing.svg,
    )


def _address(picture: Picture) -> str:
    return html.data_address(picture.path.read_bytes(), "image/png")
