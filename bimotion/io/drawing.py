"""Pictures of lines, shapes, dots and texts, drawn once and written as SVG, PNG and PDF.

A part has a look, not a colour: the looks are those of the pages (page/style.css), so that a
picture follows light and dark as the page does. SVG is ours, since it takes the page's style and
needs no library; PNG and PDF are painted by matplotlib (extra `figures`), in the light colours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from xml.etree import ElementTree

from bimotion.errors import printable
from bimotion.io import html

Point = tuple[float, float]
LOOKS = ("ink", "muted", "line", "accent", "second", "ground")
"""Colours that parts take from the pages; `ground` is behind everything."""
SCHEMES = {"light": 0.68, "dark": 0.58}
"""Scheme -> how much of the pages' --heat is in the deepest colour of a heat map: texts stay
readable on it."""
HEAT_STEPS = 50
MARGIN_PX = 8
"""Around a picture that stands alone."""
TEXT_PX = 12
LETTER_SHARE, BOLD_SHARE = 0.58, 0.68
"""Width of a letter of its size, of most texts in most fonts at most."""


@dataclass(frozen=True)
class Line:
    """Straight lines from point to point."""

    points: Sequence[Point]
    """In pixels from the upper left corner."""
    look: str = "ink"
    """Its colour, one of LOOKS."""
    width: float = 1.5
    """In pixels."""
    dashed: bool = False
    """Whether it is broken."""


@dataclass(frozen=True)
class Shape:
    """An area: a bar, a cell of a heat map, the head of an arrow."""

    points: Sequence[Point]
    """Its corners, in pixels."""
    look: str = "accent"
    """Its colour, one of LOOKS, or of the scale of heat maps (`heat`)."""
    ringed: bool = False
    """Whether it is outlined."""

    @classmethod
    def box(cls, x: float, y: float, width: float, height: float, **options) -> "Shape":
        """A rectangle by its upper left corner."""
        right, low = x + width, y + height
        return cls(((x, y), (right, y), (right, low), (x, low)), **options)


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    x: float
    """Its middle."""
    y: float
    """Its middle."""
    radius: float = 3.5
    """In pixels."""
    look: str = "accent"
    """Its colour, one of LOOKS."""


@dataclass(frozen=True)
class Text:
    """One line of text."""

    x: float
    """Where it is anchored."""
    y: float
    """Its base line."""
    words: str
    """What it says."""
    look: str = "ink"
    """Its colour, one of LOOKS."""
    anchor: str = "start"
    """`start`, `middle` or `end` stands at x."""
    px: float = TEXT_PX
    """Its size."""
    bold: bool = False
    """Whether it is strong."""


Part = Line | Shape | Dot | Text


@dataclass(frozen=True)
class Drawing:
    """A picture: parts on a ground, the first below the further."""

    name: str
    """Of its files, without suffix."""
    title: str
    """What it shows, as a heading."""
    description: str
    """What it says, to somebody who does not see it."""
    width: float
    """In pixels."""
    height: float
    """In pixels."""
    parts: tuple[Part, ...]
    """What is drawn."""

    @property
    def ground(self) -> Shape:
        """The ground of a picture that stands alone: itself with a margin."""
        start, more = -MARGIN_PX, 2 * MARGIN_PX
        return Shape.box(start, start, self.width + more, self.height + more, look="ground")


@cache
def palette(scheme: str, *, alone: bool = False) -> dict[str, str]:
    """Look -> colour in a scheme, `light` or `dark`, as the pages have it; `h0` to `h50`: the scale
    of heat maps; `alone`: on white, as papers are, or the pages' darkest but one.

    >>> palette("light")["ink"], palette("dark")["ink"], palette("light")["h50"]
    ('#1c1f22', '#e6e5e1', '#6dafb5')
    """
    blocks = re.findall(r":root \{(.*?)\}", html.part("page/style.css"), re.DOTALL)
    named = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", blocks[scheme == "dark"]))
    named["ground"] = named["raised" if alone else "paper"]
    deepest = SCHEMES[scheme] / HEAT_STEPS
    return {look: named[look] for look in LOOKS} | {
        f"h{step}": _mixed(named["heat"], named["paper"], step * deepest)
        for step in range(HEAT_STEPS + 1)
    }


def _mixed(first: str, second: str, share: float) -> str:
    """A colour that lies between two, by its share of the first."""
    pairs = [[int(colour[at : at + 2], 16) for colour in (first, second)] for at in (1, 3, 5)]
    return "#" + "".join(f"{round(share * high + (1 - share) * low):02x}" for high, low in pairs)


def heat(share: float) -> str:
    """The look of a share in [0, 1] on the scale of heat maps.

    >>> heat(0.5)
    'h25'
    """
    return f"h{round(min(max(share, 0.0), 1.0) * HEAT_STEPS)}"


@cache
def style(*, alone: bool = False) -> str:
    """The looks as CSS, dark colours where the reader prefers them; `alone`: as `palette`."""
    light, dark = ("\n".join(_rules(palette(scheme, alone=alone))) for scheme in SCHEMES)
    fonts = ".drawing text { font-family: system-ui, 'DejaVu Sans', sans-serif; }"
    return f"{fonts}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def svg(drawing: Drawing, *, alone: bool = False) -> str:
    """The picture as SVG: for a page, whose style holds `style()`, or `alone`, with style and
    ground of its own."""
    margin = MARGIN_PX * alone
    width, height = (f"{side + 2 * margin:.4g}" for side in (drawing.width, drawing.height))
    facts = {"viewBox": f"{-margin} {-margin} {width} {height}", "width": width, "height": height}
    facts |= {"class": "drawing", "role": "img", "aria-label": printable(drawing.description)}
    if not alone:
        root, parts = ElementTree.Element("svg", facts), drawing.parts
    else:
        root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"} | facts)
        ElementTree.SubElement(root, "title").text = printable(drawing.title)
        ElementTree.SubElement(root, "style").text = style(alone=True)
        parts = (drawing.ground, *drawing.parts)
    for part in parts:
        _element(root, part)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def can_paint() -> bool:
    """Tell whether matplotlib is there, which paints PNG and PDF."""
    return find_spec("matplotlib") is not None


def _rules(colours: dict[str, str]) -> list[str]:
    rules = [f".drawing .{look} {{ fill: {colour}; }}" for look, colour in colours.items()]
    lines = ((look, colours[look]) for look in LOOKS)
    rules += [f".drawing polyline.{look} {{ fill: none; stroke: {c}; }}" for look, c in lines]
    return [*rules, f".drawing .ringed {{ stroke: {colours['accent']}; stroke-width: 1.5; }}"]


def _element(root: ElementTree.Element, part: Part) -> None:
    facts = {"class": part.look}
    match part:
        case Line(points, _, width, dashed):
            facts |= {"points": _corners(points), "stroke-width": f"{width:g}"}
            facts |= {"stroke-dasharray": "4 4"} if dashed else {}
            ElementTree.SubElement(root, "polyline", facts)
        case Shape(points, _, ringed):
            facts["class"] += " ringed" * ringed
            ElementTree.SubElement(root, "polygon", facts | {"points": _corners(points)})
        case Dot(x, y, radius):
            facts |= {"cx": f"{x:.4g}", "cy": f"{y:.4g}", "r": f"{radius:.3g}"}
            ElementTree.SubElement(root, "circle", facts)
        case Text(x, y, words, _, anchor, px, bold):
            facts |= {"x": f"{x:.4g}", "y": f"{y:.4g}", "text-anchor": anchor}
            facts |= {"font-size": f"{px:g}"} | ({"font-weight": "600"} if bold else {})
            ElementTree.SubElement(root, "text", facts).text = printable(words)


def _corners(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
