"""The page, as a file and in a real browser: sort, filter, search, open a model, go back; nothing
else runs, nothing is asked for."""

import base64
import dataclasses
import gzip
import json
import random
import re

import pytest

from bimotion.leaderboard import board, site
from bimotion.leaderboard.entry import Number, Oddity, Rank
from bimotion.leaderboard.reproduction import Reproduction
from bimotion.results.record import AdaptUsed
from tests.support import board_pages
from tests.support.board_pages import ROW, ROWS
from tests.support.browser import needs_chromium

CELLS = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")
FILTERS = ("track", "split", "schema", "protocol")
HOSTILE = {
    "script": "</script><script>hit()</script>",
    "image": "<img src=x onerror=hit()>",
    "quotes": "\"'><svg onload=hit()>",
    "template": "${hit()}`{{hit()}}",
    "comment": "<!--<script>",
    "address": "../../#/run/x?a=b%ZZ",
    "prototype": "__proto__",
}


def of(built, model):
    return next(entry for entry in built.entries if entry.model == model)


def hostile_entry(entry, text):
    """An entry whose every text is hostile."""
    flags = dataclasses.replace(
        entry.flags,
        status_reason=text,
        status="claimed",
        contaminated={"eng_eld": [text]},
        incomplete={text: text},
        shared_speakers={text: text},
        assumed_age={text: [text]},
        same_predictions=[text],
    )
    changes = {"reason": text, "corpora": {text: 0.5}, "untrained": [text]}
    texts = ("model", "key", "revision", "version", "device", "finished", "trained_on")
    return dataclasses.replace(
        entry,
        id=f"{text}/k",
        options={text: text},
        flags=flags,
        scores=[dataclasses.replace(row, **changes) for row in entry.scores],
        ranking=None,
        reproduction=Reproduction(
            *(False, text, [text], 1, 0, 1, 0.5, 0.5, 0.5, 0, 0, True, [text], text, {text: text}),
            finished=text,
        ),
        adapt=AdaptUsed(text, text, text, text, True),
        **dict.fromkeys(texts, text),
    )


@pytest.fixture(scope="module")
def hostile(built):
    tiny = of(built, "org/tiny")
    entries = [*built.entries, *(hostile_entry(tiny, text) for text in HOSTILE.values())]
    excluded = [board.Excluded(text, text) for text in HOSTILE.values()]
    return dataclasses.replace(built, entries=entries, excluded=excluded)


@pytest.fixture(scope="module")
def many(built):
    """A thousand entries, ranked."""
    rng, entries = random.Random(0), []
    templates = [entry for entry in built.entries if not entry.flags.baseline]
    for number in range(1000):
        value = round(rng.random(), 4)
        mean = Number(value, max(0, value - 0.03), min(1, value + 0.03), None)
        template = templates[number % len(templates)]
        entries.append(
            dataclasses.replace(
                template,
                id=f"lab__m{number}/k{number}",
                key=f"k{number}",
                model=f"lab/m{number}",
                headline=template.headline | {"in-group/inference": mean},
                n_parameters=1000 * (number + 1),
                ranking=Rank(number + 1, number + 1, number + 5, number // 7 + 1, 1000),
            )
        )
    return dataclasses.replace(built, entries=entries)


# --- the file -----------------------------------------------------------------------------------


def test_the_page_holds_the_board_and_nothing_of_it_as_text(hostile, tmp_path):
    text = site.build(hostile, tmp_path).read_text(encoding="utf-8")
    (packed,) = re.findall(r'<script type="text/plain" id="board">([^<]*)</script>', text)
    content = json.loads((tmp_path / "board.json").read_text())
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == content
    assert "hit()" not in text
    assert text.count("<script") == 2
    names = ["board.json", "board.schema.json", "index.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert site.page(hostile) == text


FORBIDDEN = (
    r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|insertAdjacentHTML|document\.write|eval\("
)


def test_the_page_asks_for_nothing(built):
    text = site.page(built)
    links = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']*)""", text)
    assert links == ["https://arxiv.org/abs/2306.14517"]
    assert not re.search(FORBIDDEN, text)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    closed = "default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'sha256-"
    assert policy.startswith(closed)
    assert "unsafe" not in policy


# --- in the browser -----------------------------------------------------------------------------


@needs_chromium
def test_it_opens_on_the_class_with_most_ranks_best_first(page, built):
    assert page.models() == [entry.model for entry in built.entries]
    assert re.fullmatch(r"1\s+1(–\d)? · tie A", page.column("rank")[0])
    assert page.first("#status", "textContent") == "8 of 8 entries, all comparable"
    assert page.first("#filters", "elements.split.value") == "disjoint"
    best = built.entries[0].headline["in-group/inference"]
    shown = [float(number) for number in re.split(r"[\s–]+", page.column("mean")[0])]
    numbers = [100 * number for number in (best.value, best.low, best.high)]
    assert shown == pytest.approx(numbers, abs=0.0501)
    assert page.run("document.title") == "BiMotion leaderboard"


@needs_chromium
def test_what_nobody_ran_again_stands_below_a_line_that_hides_it(page, built):
    ranks = page.column("rank")
    assert ranks[5] == "–"  # the best of all, for nobody verified it
    assert re.fullmatch(r"\(3\)\s+3(–\d)? · tie [AB]", ranks[6])
    reason = page.text("#ranking tbody .line")
    assert "1 only recomputed, which nobody ran again, 1 only claimed, 1 reproduced, but" in reason
    page.first("#ranking tbody .line button", "click()")
    assert page.models() == [entry.model for entry in built.entries if entry.ranking]
    assert page.first("#status", "textContent") == "5 of 8 entries, all comparable"
    assert page.run("document.activeElement.textContent") == "show 3"
    page.first("#ranking tbody .line button", "click()")
    assert len(page.models()) == 8
    page.choose("q", "dirty")
    page.open_model()
    lead = page.text("#detail .lead")
    assert "not ranked: nobody has run it again; rank 3 of 6 that were recomputed" in lead


@needs_chromium
def test_a_board_of_which_nothing_was_run_again_does_not_open_empty(built, tmp_path):
    below = [dataclasses.replace(entry, ranking=None) for entry in built.entries]
    classes = [dataclasses.replace(group, n_ranked=0) for group in built.comparable]
    made = dataclasses.replace(built, entries=below, comparable=classes)
    with board_pages.opened(made, tmp_path) as page:
        assert len(page.models()) == len(below)
        assert page.run("document.querySelector('#ranking tbody tr').className") == "line"


@needs_chromium
@pytest.mark.parametrize(
    "name", ["model", "eng_eld", "zho_adu", "gap", "cross", "size", "rank", "mean"]
)
def test_it_sorts_by_any_column_both_ways(page, name):
    orders = []
    for _ in range(2):
        page.first(f"th[data-column={name}] button", "click()")
        orders.append(page.first(f"th[data-column={name}]", "ariaSort"))
        assert page.run("document.querySelectorAll('#ranking th[aria-sort]').length") == 1
        cells = [
            text.replace(" k", "k").replace(" M", "M").split()[0] for text in page.column(name)
        ]
        for part in (cells[:5], cells[5:]):  # the ranking, and what is below the line
            known = [cell for cell in part if cell != "–"]
            assert part[: len(known)] == known  # what is not known stands last
            keys = [cell.lower() if name == "model" else _number(cell) for cell in known]
            assert keys == sorted(keys, reverse=orders[-1] == "descending"), name
    assert set(orders) == {"ascending", "descending"}
    assert page.run("document.activeElement.closest('th').dataset.column") == name


def _number(text):
    """The number in a cell's first word: 61.2†, −4.0, 6.1k."""
    scale = {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1)
    return scale * float(re.sub(r"[()+†CkMBᵃᶜˢᵏ]", "", text.replace("−", "-")))


@needs_chromium
def test_filters_and_search_choose_rows(page, built):
    page.choose("q", "LARGE")
    assert page.models() == [entry.model for entry in built.entries if "large" in entry.model]
    assert page.first("#status", "textContent").startswith("2 of 8 entries")
    page.choose("q", "no such model")
    assert page.models() == []
    assert "Nothing fits" in page.first("#status", "textContent")
    page.choose("q", "")
    page.choose("below", False)
    assert "lab/unverified" not in page.models()
    page.choose("below", True)
    for view, filters in (("benchmark", "folds valence"), ("paper", "paper emotion")):
        page.choose("view", view)
        chosen = [page.first("#filters", f"elements.{kind}.value") for kind in ("view", "track")]
        assert chosen == [view, "probe"]
        assert page.run("`${state.split} ${state.schema}`") == filters
    for name in ("track", "split", "schema"):
        page.choose(name, "")
    assert page.models()[-1] != "XLSR-53 (the paper)"
    assert "XLSR-53 (the paper)" in page.models()
    page.choose("track", "finetune")
    assert page.models() == ["XLSR-53 (the paper)"]
    assert page.column("mean") == ["69.8"]  # 69.85, of which 0.6985 is a little less
    assert page.column("zho_adu")[0].split() == ["97.0"]
    assert "As printed in the paper" in page.first("#ranking tbody .mark", "title")


@needs_chromium
def test_what_heard_the_target_is_flagged_and_can_be_left_out(built, tmp_path):
    tiny, title = of(built, "org/tiny"), "NNPM, reconstruction: variant C (classes)"
    adapted = {
        "lab/adapted": AdaptUsed("nnpm-c", "1", title, "inductive", True),
        "lab/deaf": AdaptUsed("none", "1", "Source only", "inductive", False),
    }
    entries = [
        dataclasses.replace(tiny, id=f"{name}/k", model=name, adapt=adapt, ranking=None)
        for name, adapt in adapted.items()
    ]
    made = dataclasses.replace(built, entries=[*built.entries, *entries])
    with board_pages.opened(made, tmp_path) as page:
        page.choose("below", True)
        rows = dict(zip(page.models(), page.each(ROW, "node.innerHTML"), strict=True))
        assert f"{title}, inductive" in rows["lab/adapted"]
        assert re.search(f'title="Target audio seen: [^"]*{re.escape(title)}', rows["lab/adapted"])
        assert "Target audio seen" not in rows["lab/deaf"]
        page.choose("target", "not seen")
        assert "lab/adapted" not in page.models()
        assert {"lab/deaf", "org/tiny"} <= set(page.models())
        page.choose("target", "seen")
        ours = [name for name in page.models() if name.startswith(("lab", "org"))]
        assert ours == ["lab/adapted"]
        page.choose("q", "reconstruction")
        page.open_model()
        assert f"Adapted: {title}, inductive" in page.text("#detail")


@needs_chromium
def test_a_model_opens_and_back_leads_where_one_was(page, built):
    page.choose("q", "dirty")
    page.open_model()
    assert page.first("#detail h2", "textContent") == "lab/dirty"
    assert page.run("document.activeElement.tagName") == "H2"
    assert page.run("document.title") == "lab/dirty · BiMotion leaderboard"
    assert page.first("#overview", "hidden")
    text = page.text("#detail")
    for words in ("by its own statement", "eng_adu: esd, iemocap; zho_adu: esd", "IEMOCAP, ESD"):
        assert words in text
    texts = "[...node.children].map(one => one.innerText.split('\\n')[0].trim())"
    rows = page.each(".matrix tbody tr:not(.section)", texts)
    shown = {
        (train, test): value for train, *row in rows for test, value in zip(CELLS, row, strict=True)
    }
    scores = of(built, "lab/dirty").scores
    assert shown == {("+".join(row.train), row.test): f"{100 * row.value:.1f}" for row in scores}
    assert page.run("document.querySelectorAll('.matrix .diagonal').length") == 4
    assert page.run("document.querySelectorAll('#detail table.list').length") == 4
    page.back()
    assert page.models() == ["lab/dirty"]
    assert page.first("#filters", "elements.q.value") == "dirty"
    assert page.run("document.activeElement.textContent") == "lab/dirty"


@needs_chromium
def test_an_address_leads_to_a_model_and_a_wrong_one_to_the_board(page, built):
    entry, shown = built.entries[2], "!document.querySelector('#detail').hidden"
    page.go(f"#/run/{entry.id.replace('/', '%2F')}", shown)
    assert page.first("#detail h2", "textContent") == entry.model
    for wrong in ("#/run/nobody", "#/run/%ZZ", "#/?sort=nothing&page=x&track=", "#nonsense"):
        page.run(f"location.hash = {json.dumps(wrong)}")
        page.wait("!document.querySelector('#overview').hidden")
        assert len(page.models()) >= 1


@needs_chromium
def test_hostile_texts_are_shown_and_do_not_run(hostile, tmp_path):
    with board_pages.opened(hostile, tmp_path) as page:
        page.choose("below", True)
        for name in FILTERS:
            page.choose(name, "")
        assert set(HOSTILE.values()) <= set(page.models())
        page.run("document.querySelector('#excluded').open = true")
        for text in HOSTILE.values():
            page.open_model(text)
            assert page.first("#detail h2", "textContent") == text
            page.back()
        markup = "main img, main script, main iframe, svg[onload]"
        assert page.run(f"document.querySelectorAll('{markup}').length") == 0


@needs_chromium
def test_the_policy_stops_what_might_slip_through(built, tmp_path):
    """Were markup ever inserted, it would still not run: the page's own policy allows one script,
    by its hash."""
    bait = "<img src=x onerror=hit()><a onclick=hit() id=bait>x</a>"
    script = "node => { node.textContent = 'hit()'; document.body.append(node) }"
    with board_pages.opened(built, tmp_path) as page:
        page.first("main", f"insertAdjacentHTML('beforeend', '{bait}')")
        page.first("#bait", "click()")
        page.run(f"({script})(document.createElement('script'))")
        assert page.run("new Promise(done => setTimeout(() => done(hits), 200))") == 0
        assert page.console()  # what the browser stopped
        assert page.requested() > {page.url}  # the picture


@needs_chromium
def test_of_a_thousand_entries_a_page_is_drawn(many, tmp_path):
    """Whatever is sorted or sought, a hundred rows at most are in the document: what it costs does
    not grow with the board."""
    with board_pages.opened(many, tmp_path) as page:
        assert page.run(f"{ROWS}.length") == 100
        assert page.text("#pager").startswith("Previous")
        page.first("th[data-column=model] button", "click()")
        assert page.run(f"{ROWS}.length") == 100
        page.choose("q", "m99")
        assert len(page.models()) == 11
        page.choose("q", "")
        page.run("[...document.querySelectorAll('#pager button')].at(-1).click()")
        assert "Page 2 of 10" in page.text("#pager")
        assert page.run(f"{ROWS}.length") <= 100


@needs_chromium
def test_a_mean_of_fewer_cells_says_which(built, tmp_path):
    entry = built.entries[1]
    scores = [row for row in entry.scores if row.test != "zho_eld"]
    lacks = dataclasses.replace(entry, scores=scores, id="lab__lacks/k", model="lab/lacks")
    with board_pages.opened(dataclasses.replace(built, entries=[entry, lacks]), tmp_path) as page:
        shown = dict(zip(page.models(), page.column("mean"), strict=True))
        assert "over eng_eld, eng_adu, zho_adu" in shown["lab/lacks"]
        assert "over" not in shown[entry.model]
        page.go("#/run/lab__lacks%2Fk", "document.querySelector('#detail .lead')")
        assert "3 cells (over eng_eld" in page.text(".lead")


@needs_chromium
def test_what_looks_odd_is_a_quiet_mark_and_a_table_on_the_models_own_page(built, tmp_path):
    odd = Oddity("shared errors", 0.97, 0.95, "errs as <b>lab/x</b> does")
    entry = dataclasses.replace(built.entries[0], oddities=[odd], id="lab__odd/k", model="lab/odd")
    with board_pages.opened(dataclasses.replace(built, entries=[entry]), tmp_path) as page:
        (row,) = page.each(ROW, "node.innerHTML")
        assert re.search(r'title="Looks odd: [^"]*No verdict[^"]*\(Errors of another model\)', row)
        page.go("#/run/lab__odd%2Fk", "document.querySelector('#detail .lead')")
        text = page.text("#detail")
        for words in ("What looks odd", "Errors of another model", "0.97", "errs as <b>lab/x</b>"):
            assert words in text
