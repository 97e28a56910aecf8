"""The page for everybody: by keyboard, read aloud, in the dark, on a phone."""

import pytest

from tests.support import board_pages
from tests.support.browser import needs_chromium


@needs_chromium
def test_the_keyboard_reaches_and_works_everything(page):
    page.run("document.activeElement.blur(); document.querySelector('.skip').focus()")
    focused = "(one => [one.name || one.tagName, one.textContent])(document.activeElement)"
    seen = []
    for _ in range(28):
        page.key("Tab")
        seen.append(page.run(focused))
    fields = ("track", "split", "schema", "protocol", "q", "below")
    assert tuple(name for name, _ in seen if name in fields) == fields
    assert ["BUTTON", "Model"] in seen
    assert ["A", "lab/large"] in seen
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.first("th[data-column=model] button", "focus()")
    page.key("Enter")
    assert page.first("th[data-column=model]", "ariaSort") == "ascending"
    page.first("#ranking tbody a", "focus()")
    page.key("Enter")
    page.wait("!document.querySelector('#detail').hidden")


SPOKEN = {
    "select, input": "node.labels.length && node.labels[0].innerText.trim()",
    board_pages.ROW: "node.querySelector('th').scope === 'row'",
    "#ranking .mark": "node.title.length > 10 && node.innerText.length > 10",
    "svg.whisker": "node.ariaHidden === 'true'",
    "#cost a": "node.getAttribute('aria-label').includes('parameters')",
    "#status": "node.getAttribute('role') === 'status'",
    "#ranking caption": "node.innerText.startsWith('Weighted F1 in %')",
    "button, a, summary": "node.closest('[hidden]') || node.textContent.trim() || node.ariaLabel",
}
"""What is seen -> what a reader of screens needs of it."""


@needs_chromium
def test_a_reader_of_screens_is_told_what_is_seen(page):
    for selector, holds in SPOKEN.items():
        assert set(page.each(selector, f"Boolean({holds})")) == {True}, selector


COLOURS = """(() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const solid = (layers) => {
    for (const one of layers) { context.fillStyle = one; context.fillRect(0, 0, 1, 1) }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const of = (node) => getComputedStyle(node);
  const ground = of(document.body).backgroundColor;
  const heat = document.querySelector("td.heat");
  heat.style.setProperty("--share", 1);
  const hot = of(heat).backgroundColor;
  const one = (node, layers) => [solid(layers), solid([...layers, of(node).color])];
  return [
    ...["body", "h1 a", "#status", "caption", "thead th", "#ranking small", "#ranking tbody a",
        ".mark.good", ".mark.warn", ".mark.bad", "dd", "footer p", "footer a"]
      .map((name) => [name, ...one(document.querySelector(name), [ground])]),
    ["heat", ...one(heat, [ground, hot])],
    ["heat small", ...one(heat.querySelector("small"), [ground, hot])],
  ];
})()"""


@needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(page, dark):
    """Contrast of WCAG AA, 4.5, for the colours of text on the page and on the strongest heat."""
    page.look(1280, 900, dark=dark)
    colours = page.run(COLOURS)
    assert len(colours) == 15
    contrasts = {name: _contrast(ground, ink) for name, ground, ink in colours}
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


def _contrast(*colours):
    low, high = sorted(map(_luminance, colours))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour):
    shares = [value / 255 for value in colour]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@needs_chromium
def test_a_phone_needs_no_sideways_scrolling(page):
    page.look(390, 844)
    width = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    assert page.run(width) == [390, 390]
    assert page.first("#ranking", "getBoundingClientRect().right") <= 390
    page.open_model()
    assert page.run(width) == [390, 390]
