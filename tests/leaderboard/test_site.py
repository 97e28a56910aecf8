"""The page in a real browser: sort, filter, search, open a model, go back; nothing else runs,
nothing is asked for."""

import base64
import dataclasses
import gzip
import json
import random
import re
from contextlib import contextmanager

import pytest

from bimotion.leaderboard import board, site
from bimotion.leaderboard.entry import Number, Rank
from bimotion.results.record import AdaptUsed
from tests.support import browser, submissions

HOSTILE = {
    "script": "</script><script>hit()</script>",
    "image": "<img src=x onerror=hit()>",
    "quotes": "\"'><svg onload=hit()>",
    "template": "${hit()}`{{hit()}}",
    "comment": "<!--<script>",
    "address": "../../#/run/x?a=b%ZZ",
    "prototype": "__proto__",
}


@pytest.fixture(scope="module")
def built(whole_tree):
    return board.build(submissions.few(whole_tree))


@pytest.fixture(scope="module")
def hostile(built):
    """A board whose every text is hostile."""
    tiny = next(entry for entry in built.entries if entry.model == "org/tiny")
    made = []
    for text in HOSTILE.values():
        marks = dataclasses.replace(
            tiny.marks,
            unverified=text,
            verified=False,
            contaminated={"eng_eld": [text]},
            incomplete={text: text},
            shared_speakers={text: text},
            assumed_age={text: [text]},
            same_predictions=[text],
        )
        scores = [
            dataclasses.replace(one, reason=text, corpora={text: 0.5}, untrained=[text])
            for one in tiny.scores
        ]
        adapt = AdaptUsed(text, text, text, text, True)
        told = {"adapt": adapt} | dict.fromkeys(
            ("revision", "version", "device", "finished", "trained_on"), text
        )
        made.append(
            dataclasses.replace(
                tiny,
                id=f"{text}/k",
                model=text,
                key=text,
                options={text: text},
                marks=marks,
                scores=scores,
                standing=None,
                **told,
            )
        )
    excluded = [board.Excluded(text, text) for text in HOSTILE.values()]
    return dataclasses.replace(built, entries=[*built.entries, *made], excluded=excluded)


@pytest.fixture(scope="module")
def many(built):
    """A thousand entries of two classes, ranked."""
    rng, made = random.Random(0), []
    template = [entry for entry in built.entries if not entry.marks.floor]
    for number in range(1000):
        one = template[number % len(template)]
        value = round(rng.random(), 4)
        headline = {
            **one.headline,
            "in-group/inference": Number(value, max(0, value - 0.03), min(1, value + 0.03), None),
        }
        made.append(
            dataclasses.replace(
                one,
                id=f"lab__m{number}/k{number}",
                key=f"k{number}",
                model=f"lab/m{number}",
                headline=headline,
                n_parameters=1000 * (number + 1),
                standing=Rank(number + 1, number + 1, number + 5, number // 7 + 1, 1000),
            )
        )
    return dataclasses.replace(built, entries=made)


@pytest.fixture(scope="module")
def page(built, tmp_path_factory):
    """A browser on the page of the board."""
    with _opened(built, tmp_path_factory.mktemp("site")) as opened:
        yield opened


@contextmanager
def _opened(found, folder):
    """A browser on the page of a board, made anew, in which nothing may go wrong."""
    url = site.build(found, folder / "site").as_uri()
    with browser.opened(url, "document.querySelector('#ranking tbody tr')") as page:
        page.url = url
        yield page


def models(page):
    return page.run(
        "[...document.querySelectorAll('#ranking tbody tr')].map(row => "
        "row.querySelector('th').firstChild.textContent)"
    )


def column(page, name):
    place = (
        (
            "[...document.querySelectorAll('#ranking thead th')].findIndex(one => "
            "one.dataset.column === '"
        )
        + name
        + "')"
    )
    return page.run(
        "(place => [...document.querySelectorAll('#ranking tbody tr')].map(row => "
        f"row.children[place].innerText))({place})"
    )


def fresh(page):
    """The page as it opens."""
    page.run("location.hash = '#/'; dispatchEvent(new HashChangeEvent('hashchange'))")
    page.wait("!document.querySelector('#overview').hidden")


def choose(page, name, value):
    page.run(
        f"(field => {{ field.{'checked' if isinstance(value, bool) else 'value'}"
        f" = {json.dumps(value)};"
        " field.dispatchEvent(new Event('input', {bubbles: true})) })"
        f"(document.querySelector('#filters').elements['{name}'])"
    )


# --- the file -----------------------------------------------------------------------------------


def test_the_page_holds_the_board_and_nothing_of_it_as_text(hostile, tmp_path):
    text = site.build(hostile, tmp_path).read_text(encoding="utf-8")
    (packed,) = re.findall(r'<script type="text/plain" id="board">([^<]*)</script>', text)
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == json.loads(
        (tmp_path / "board.json").read_text()
    )
    assert json.loads((tmp_path / "board.schema.json").read_text()) == board.json_schema()
    assert "hit()" not in text
    assert text.count("<script") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "board.json",
        "board.schema.json",
        "index.html",
    ]


def test_the_page_asks_for_nothing(built):
    text = site.page(built)
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']*)""", text) == [
        "https://arxiv.org/abs/2306.14517"
    ]
    assert not re.search(
        r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|insertAdjacentHTML|document\.write|eval\(",
        text,
    )
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith(
        "default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'sha256-"
    )
    assert "unsafe" not in policy


def test_the_same_board_gives_the_same_page(built):
    assert site.page(built) == site.page(built)


# --- in the browser -----------------------------------------------------------------------------


@browser.needs_chromium
def test_it_opens_on_the_class_with_most_ranks_best_first(page, built):
    fresh(page)
    assert models(page) == [entry.model for entry in built.entries]
    ranks = column(page, "rank")
    assert ranks[0] == "–"  # the best is not verified
    assert re.fullmatch(r"1\s+1(–\d)? · tie A", ranks[1])
    assert (
        page.run("document.querySelector('#status').textContent")
        == "8 of 8 entries, all comparable"
    )
    assert page.run("document.querySelector('#filters').elements.split.value") == "disjoint"
    best = built.entries[0].headline["in-group/inference"]
    assert column(page, "mean")[0].split() == [
        f"{100 * best.value:.1f}",
        f"{100 * best.low:.1f}–{100 * best.high:.1f}",
    ]
    assert page.run("document.title") == "BiMotion leaderboard"


@browser.needs_chromium
def test_it_sorts_by_any_column_both_ways(page, built):
    fresh(page)
    for name in ("model", "eng_eld", "zho_adu", "gap", "cross", "size", "rank", "mean"):
        press = f"document.querySelector('th[data-column={name}] button').click()"
        orders = []
        for _ in range(2):
            page.run(press)
            sort = page.run(f"document.querySelector('th[data-column={name}]').ariaSort")
            assert page.run("document.querySelectorAll('#ranking th[aria-sort]').length") == 1
            values = [
                text.replace(" k", "k").replace(" M", "M").split()[0] for text in column(page, name)
            ]
            known = [value for value in values if value != "–"]
            assert values[: len(known)] == known  # what is not known stands last
            keys = [_number(value) if name != "model" else value.lower() for value in known]
            assert keys == sorted(keys, reverse=sort == "descending"), name
            orders.append(sort)
        assert set(orders) == {"ascending", "descending"}
        assert page.run("document.activeElement.closest('th').dataset.column") == name


def _number(text):
    """Of a cell's first word: 61.2†, −4.0, 6.1k."""
    scale = {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1)
    return scale * float(re.sub(r"[+†CkMB]", "", text.replace("−", "-")))


@browser.needs_chromium
def test_filters_and_search_choose_rows(page, built):
    fresh(page)
    choose(page, "q", "LARGE")
    assert models(page) == [entry.model for entry in built.entries if "large" in entry.model]
    assert page.run("document.querySelector('#status').textContent").startswith("2 of 8 entries")
    choose(page, "q", "no such model")
    assert models(page) == []
    assert "Nothing fits" in page.run("document.querySelector('#status').textContent")
    choose(page, "q", "")
    choose(page, "verified", True)
    assert "lab/unverified" not in models(page)
    choose(page, "verified", False)
    for name in ("track", "split"):
        choose(page, name, "")
    assert models(page)[-1] != "XLSR-53 (the paper)"
    assert "XLSR-53 (the paper)" in models(page)
    choose(page, "track", "finetune")
    assert models(page) == ["XLSR-53 (the paper)"]
    assert column(page, "mean") == ["69.8"]  # 69.85, of which 0.6985 is a little less
    assert column(page, "zho_adu")[0].split() == ["97.0"]
    assert "As printed in the paper" in page.run(
        "document.querySelector('#ranking tbody .mark').title"
    )


@browser.needs_chromium
def test_what_heard_the_target_is_marked_and_can_be_left_out(built, tmp_path):
    tiny, made = next(entry for entry in built.entries if entry.model == "org/tiny"), []
    title = "NNPM, reconstruction: variant C (classes)"
    for name, adapt in (
        ("lab/adapted", AdaptUsed("nnpm-c", "1", title, "inductive", True)),
        (
            "lab/deaf",
            AdaptUsed("none", "1", "Source only (logistic regression)", "inductive", False),
        ),
    ):
        made.append(
            dataclasses.replace(tiny, id=f"{name}/k", model=name, adapt=adapt, standing=None)
        )
    adapted = dataclasses.replace(built, entries=[*built.entries, *made])
    with _opened(adapted, tmp_path) as page:
        row = (
            "[...document.querySelectorAll('#ranking tbody tr')].find(one => one.dataset.id === "
            "'lab/adapted/k')"
        )
        assert f"{title}, inductive" in page.run(f"{row}.innerText")
        marks = page.run(f"[...{row}.querySelectorAll('.mark')].map(one => one.title)")
        assert any(one.startswith("Target audio seen: ") and title in one for one in marks)
        assert "Target audio seen" not in page.run(row.replace("adapted", "deaf") + ".innerHTML")
        choose(page, "target", "not seen")
        assert "lab/adapted" not in models(page)
        assert {"lab/deaf", "org/tiny"} <= set(models(page))
        choose(page, "target", "seen")
        assert [name for name in models(page) if name.startswith(("lab", "org"))] == ["lab/adapted"]
        choose(page, "q", "reconstruction")
        page.run("document.querySelector('#ranking tbody a').click()")
        page.wait("!document.querySelector('#detail').hidden")
        assert f"Adapted: {title}, inductive" in page.run(
            "document.querySelector('#detail').innerText"
        )


@browser.needs_chromium
def test_a_model_opens_and_back_leads_where_one_was(page, built):
    fresh(page)
    choose(page, "q", "dirty")
    page.run("document.querySelector('#ranking tbody a').click()")
    page.wait("!document.querySelector('#detail').hidden")
    entry = next(entry for entry in built.entries if entry.model == "lab/dirty")
    assert page.run("document.querySelector('#detail h2').textContent") == "lab/dirty"
    assert page.run("document.activeElement.tagName") == "H2"
    assert page.run("document.title") == "lab/dirty · BiMotion leaderboard"
    assert page.run("document.querySelector('#overview').hidden")
    text = page.run("document.querySelector('#detail').innerText")
    assert "Contaminated: by its own statement" in text
    assert "eng_adu: esd, iemocap; zho_adu: esd" in text
    assert "IEMOCAP, ESD" in text
    cells = page.run(
        "[...document.querySelectorAll('.matrix tbody tr:not(.section)')]"
        ".map(row => [...row.children].map(one => one.innerText.split('\\n')[0].trim()))"
    )
    shown = {
        (row[0], test): value
        for row in cells
        for test, value in zip(("eng_eld", "eng_adu", "zho_eld", "zho_adu"), row[1:], strict=True)
    }
    assert shown == {
        ("+".join(one.train), one.test): f"{100 * one.value:.1f}" for one in entry.scores
    }
    assert page.run("document.querySelectorAll('.matrix .diagonal').length") == 4
    assert page.run("document.querySelectorAll('#detail table.list').length") == 3
    page.run("history.back()")
    page.wait("!document.querySelector('#overview').hidden")
    assert models(page) == ["lab/dirty"]
    assert page.run("document.querySelector('#filters').elements.q.value") == "dirty"
    assert page.run("document.activeElement.textContent") == "lab/dirty"


@browser.needs_chromium
def test_an_address_leads_to_a_model_and_a_wrong_one_to_the_board(page, built):
    entry = built.entries[2]
    page.open(
        f"{page.url}#/run/{entry.id.replace('/', '%2F')}",
        "!document.querySelector('#detail').hidden",
    )
    assert page.run("document.querySelector('#detail h2').textContent") == entry.model
    for wrong in ("#/run/nobody", "#/run/%ZZ", "#/?sort=nothing&page=x&track=", "#nonsense"):
        page.run(f"location.hash = {json.dumps(wrong)}")
        page.wait("!document.querySelector('#overview').hidden")
        assert len(models(page)) >= 1


@browser.needs_chromium
def test_the_keyboard_reaches_and_works_everything(page):
    fresh(page)
    page.run("document.activeElement.blur(); document.querySelector('.skip').focus()")
    seen = []
    for _ in range(24):
        page.key("Tab")
        seen.append(
            page.run(
                "[document.activeElement.name || document.activeElement.tagName, "
                "document.activeElement.textContent]"
            )
        )
    names = [name for name, _ in seen]
    assert [
        name for name in names if name in ("track", "split", "schema", "protocol", "q", "verified")
    ] == [
        "track",
        "split",
        "schema",
        "protocol",
        "q",
        "verified",
    ]
    assert ["BUTTON", "Model"] in seen
    assert ["A", "lab/unverified"] in seen
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.run("document.querySelector('th[data-column=model] button').focus()")
    page.key("Enter")
    assert page.run("document.querySelector('th[data-column=model]').ariaSort") == "ascending"
    page.run("document.querySelector('#ranking tbody a').focus()")
    page.key("Enter")
    page.wait("!document.querySelector('#detail').hidden")


@browser.needs_chromium
def test_a_reader_of_screens_is_told_what_is_seen(page):
    fresh(page)
    assert page.run(
        "[...document.querySelectorAll('select, input')].every(one => one.labels.length && "
        "one.labels[0].innerText.trim())"
    )
    assert page.run("document.querySelector('#ranking caption').innerText").startswith(
        "Weighted F1 in %"
    )
    assert page.run(
        "[...document.querySelectorAll('#ranking tbody tr')].every(row => "
        "row.querySelector('th').scope === 'row')"
    )
    assert page.run(
        "[...document.querySelectorAll('#ranking .mark')].every(one => one.title.length > 10 "
        "&& one.innerText.length > 10)"
    )
    assert page.run(
        "[...document.querySelectorAll('svg.whisker')].every(one => one.ariaHidden === 'true')"
    )
    assert page.run(
        "[...document.querySelectorAll('#cost a')].every(one => "
        "one.getAttribute('aria-label').includes('parameters'))"
    )
    assert page.run("document.querySelector('#status').getAttribute('role')") == "status"
    assert page.run(
        "[...document.querySelectorAll('button, a, summary')].filter(one => "
        "!one.closest('[hidden]')).every(one => one.textContent.trim() || one.ariaLabel)"
    )


@browser.needs_chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(page, dark):
    """Contrast of WCAG AA, 4.5, for the colours of text on the page and on the strongest heat."""
    fresh(page)
    page.look(1280, 900, dark=dark)
    colours = page.run("""(() => {
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
        ...["body", "h1 a", "#status", "caption", "thead th", "#ranking small",
        "#ranking tbody a", ".mark.good", ".mark.warn",
            ".mark.bad", "dd", "footer p", "footer a"]
          .map((name) => [name, ...one(document.querySelector(name), [ground])]),
        ["heat", ...one(heat, [ground, hot])],
        ["heat small", ...one(heat.querySelector("small"), [ground, hot])],
      ];
    })()""")
    page.look(1280, 900)
    assert len(colours) == 15
    low = {
        name: round(ratio, 2)
        for name, ground, ink in colours
        if (ratio := _contrast(ground, ink)) < 4.5
    }
    assert low == {}


def _contrast(*colours):
    def light(colour):
        parts = [value / 255 for value in colour]
        linear = [
            value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
            for value in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(light, colours))
    return (high + 0.05) / (low + 0.05)


@browser.needs_chromium
def test_a_phone_needs_no_sideways_scrolling(page):
    fresh(page)
    page.look(390, 844)
    width = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    assert page.run(width) == [390, 390]
    assert page.run("document.querySelector('#ranking').getBoundingClientRect().right <= 390")
    page.run("document.querySelector('#ranking tbody a').click()")
    page.wait("!document.querySelector('#detail').hidden")
    assert page.run(width) == [390, 390]
    page.look(1280, 900)


@browser.needs_chromium
def test_hostile_texts_are_shown_and_do_not_run(hostile, tmp_path):
    with _opened(hostile, tmp_path) as page:
        for name in ("track", "split", "schema", "protocol"):
            choose(page, name, "")
        assert set(HOSTILE.values()) <= set(models(page))
        page.run("document.querySelector('#excluded').open = true")
        for text in HOSTILE.values():
            page.run(
                "[...document.querySelectorAll('#ranking tbody a')]"
                f".find(one => one.textContent === {json.dumps(text)}).click()"
            )
            page.wait("!document.querySelector('#detail').hidden")
            assert page.run("document.querySelector('#detail h2').textContent") == text
            page.run("history.back()")
            page.wait("!document.querySelector('#overview').hidden")
        assert (
            page.run(
                "document.querySelectorAll('main img, main script, main iframe, "
                "svg[onload]').length"
            )
            == 0
        )


@browser.needs_chromium
def test_the_policy_stops_what_might_slip_through(built, tmp_path):
    """Were markup ever inserted, it would still not run: the page's own policy allows one script,
    by its hash."""
    with _opened(built, tmp_path) as page:
        page.run(
            "document.querySelector('main').insertAdjacentHTML('beforeend',"
            " '<img src=x onerror=hit()><a onclick=hit() id=bait>x</a>')"
        )
        page.run("document.querySelector('#bait').click()")
        page.run(
            "(node => { node.textContent = 'hit()'; document.body.append(node) "
            "})(document.createElement('script'))"
        )
        assert page.run("new Promise(done => setTimeout(() => done(hits), 200))") == 0
        assert page.console()  # what the browser stopped
        assert page.requested() > {page.url}  # the picture


@browser.needs_chromium
def test_of_a_thousand_entries_a_page_is_drawn(many, tmp_path):
    """Whatever is sorted or sought, a hundred rows at most are in the document: what it costs does
    not grow with the board."""
    with _opened(many, tmp_path) as page:
        assert page.run("document.querySelectorAll('#ranking tbody tr').length") == 100
        assert (
            page.run("document.querySelector('#pager').innerText")
            .split("\n")[0]
            .startswith("Previous")
        )
        page.run("document.querySelector('th[data-column=model] button').click()")
        assert page.run("document.querySelectorAll('#ranking tbody tr').length") == 100
        choose(page, "q", "m99")
        assert len(models(page)) == 11
        choose(page, "q", "")
        page.run("[...document.querySelectorAll('#pager button')].at(-1).click()")
        assert "Page 2 of 10" in page.run("document.querySelector('#pager').innerText")
        assert page.run("document.querySelectorAll('#ranking tbody tr').length") <= 100


def test_a_mean_of_fewer_cells_says_which(built, tmp_path):
    entry = built.entries[1]
    lacks = dataclasses.replace(
        entry, scores=[one for one in entry.scores if one.test != "zho_eld"]
    )
    entries = [entry, dataclasses.replace(lacks, id="lab__lacks/k", model="lab/lacks")]
    with _opened(dataclasses.replace(built, entries=entries), tmp_path) as page:
        shown = dict(zip(models(page), column(page, "mean"), strict=True))
        assert "over eng_eld, eng_adu, zho_adu" in shown["lab/lacks"]
        assert "over" not in shown[entry.model]
        page.open(f"{page.url}#/run/lab__lacks%2Fk", "document.querySelector('#detail .lead')")
        assert "3 cells (over eng_eld" in page.run("document.querySelector('.lead').innerText")
