"""The page of the map: panels, points, the keyboard, narrow screens."""

import dataclasses
import importlib.util

import pytest

from bimotion.analysis.feature_space import record
from tests.support import browser

# not imported: every worker would wait for it at its start
if importlib.util.find_spec("umap") is None:
    pytest.skip(
        "the extra `figures` is not installed: pip install 'bimotion[figures]'",
        allow_module_level=True,
    )

pytestmark = browser.needs_chromium
HOSTILE = "</script><script>hit()</script><img src=x onerror=hit()> $_{$ & {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    """projection.html in a browser, of a model and clips with hostile names; in the end nothing may
    have gone wrong in it."""
    view, clips = record.load(made[1])
    view = dataclasses.replace(view, model=dataclasses.replace(view.model, name=HOSTILE))
    clips = clips.assign(id=clips["id"] + HOSTILE, corpus=HOSTILE)
    folder = tmp_path_factory.mktemp("page")
    record.save(view, clips, folder)
    url = (folder / "projection.html").as_uri()
    with browser.opened(url, "document.querySelector('#numbers tbody tr')") as opened:
        yield opened


def test_panels_points_and_numbers_are_those_of_the_view(page, made):
    view, _ = made
    titles = "[...document.querySelectorAll('#panels h2')].map(title => title.textContent)"
    assert page.run(titles) == list(view.panels)
    assert page.run("document.querySelectorAll('.point').length") == 3 * view.of("yue_adu").n_test
    hollow = page.run(
        "[...document.querySelectorAll('#panels svg')].map(panel => "
        "panel.querySelectorAll('.alone').length)"
    )
    numbers = map(view.of, view.panels)
    assert hollow == [round((1 - known.coverage) * known.n_test) for known in numbers]
    assert page.run("document.querySelectorAll('#numbers tbody tr').length") == len(view.coverage)
    assert HOSTILE in page.run("document.querySelector('h1').textContent")


def test_pointing_at_a_clip_rings_it_in_every_panel(page):
    x, y = page.run(
        "(() => { const spot = document.querySelector('[data-clip=\"3\"]').getBoundingClientRect();"
        " return [spot.x + spot.width / 2, spot.y + spot.height / 2] })()"
    )
    page.run("choose(null)")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.wait("document.querySelectorAll('.ring').length === 3")
    status = page.run("document.querySelector('#status').textContent")
    assert "Covered by training clips: yue_adu " in status
    assert HOSTILE in status


def test_the_keyboard_steps_through_clips_and_the_legend_hides_a_class(page):
    page.run("choose(null); document.querySelector('#legend button').focus()")
    page.key("Enter")
    name = page.run("document.activeElement.textContent")
    assert page.run("document.activeElement.getAttribute('aria-pressed')") == "false"
    shown = (
        f"[...document.querySelectorAll('.point')].filter(point => point.dataset.class === '{name}'"
        " && point.checkVisibility()).length"
    )
    assert page.run(shown) == 0
    page.run("document.querySelector('#panels svg').focus()")
    seen = []
    for _ in range(200):
        page.key("ArrowRight")
        if (clip := page.run("chosen")) in seen:
            break
        seen.append(clip)
    visible = "document.querySelectorAll('#panels svg:first-of-type .point:not([hidden])').length"
    assert 3 * len(seen) == page.run(visible) > 0
    page.run("document.querySelector('#legend button').focus()")
    page.key("Enter")
    assert page.run(shown) > 0


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_window(page, dark):
    page.look(390, 800, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.look(1200, 900)
