"""Pictures say what the tables say, in colours that everybody can tell apart, on page and paper."""

import itertools
import re
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from bimotion.analysis.report import figures
from bimotion.analysis.report.calibration import curve_name
from bimotion.analysis.report.charts import calibration, speakers, transfers
from bimotion.analysis.report.scorebook import scorebook
from bimotion.errors import printable
from bimotion.io import drawing
from bimotion.io.drawing import Dot, Drawing, Line, Shape, Text
from bimotion.io.progress import default_progress
from bimotion.protocol.settings import PROTOCOLS
from bimotion.results import reservations
from bimotion.results.statistics.ages import AgeResult, Contrast
from bimotion.results.statistics.calibration import CalibrationBin
from tests.support.command_line import run_main
from tests.support.reports import CROSS_AGE, IN_GROUP, made, section

TEXTS, AREAS = ("ink", "muted"), ("accent", "second", "muted")
BLIND = {  # severity 1, Machado et al. 2009, doi 10.1109/TVCG.2009.113, in linear RGB, row by row
    "none": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "protan": (
        *(0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216),
        *(-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        *(0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413),
        *(-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        *(1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602),
        *(0.004733, 0.691367, 0.303900),
    ),
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
WHITE = np.array([0.9505, 1.0, 1.089])
LOOKS_OF_ALL = [
    pytest.param(drawing.palette(scheme, alone=alone), id=f"{scheme}-{alone}")
    for scheme, alone in itertools.product(drawing.SCHEMES, (False, True))
]


def linear(colour):
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    low, high = sorted(float(np.array(TO_XYZ)[1] @ linear(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def lab(colour, kind):
    """CIE L*a*b* as somebody of a kind of colour vision sees a colour."""
    seen = np.clip(np.reshape(BLIND[kind], (3, 3)) @ linear(colour), 0, 1)
    x, y, z = np.cbrt(np.array(TO_XYZ) @ seen / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("looks", LOOKS_OF_ALL)
def test_everybody_can_read_and_tell_apart_the_colours(looks):
    assert min(contrast(looks[look], looks["ground"]) for look in TEXTS) >= 4.5  # WCAG 1.4.3
    assert min(contrast(looks[look], looks["ground"]) for look in AREAS) >= 3  # WCAG 1.4.11
    steps = [looks[f"h{step}"] for step in range(drawing.HEAT_STEPS + 1)]
    assert min(contrast(looks["ink"], colour) for colour in steps) >= 4.5
    for kind in BLIND:
        distance = np.linalg.norm(lab(looks["accent"], kind) - lab(looks["second"], kind))
        assert distance > 20, kind  # 2.3 is just noticeable
        lightness = np.array([lab(colour, kind)[0] for colour in steps])
        falls = np.diff(lightness) * np.sign(lightness[-1] - lightness[0])
        assert (falls > -0.2).all(), kind  # to a rounding of 8 bits
        assert abs(lightness[-1] - lightness[0]) > 20, kind


def parts_of(picture, kind):
    return [part for part in picture.parts if isinstance(part, kind)]


def words_of(picture):
    return [part.words for part in parts_of(picture, Text)]


def test_arrows_and_cells_have_the_scores_of_the_heat_map(by_hand):
    run = made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE})
    [picture] = transfers.drawings(scorebook(run))
    assert section(by_hand, "transfer").drawings == (picture,)
    grid = section(by_hand, "transfer").grids[0]
    for row in grid.rows:  # weighted F1 of eng_eld on itself, of eng_adu on eng_eld
        assert row[1].text in words_of(picture)
    assert len(parts_of(picture, Line)) == 1
    [head] = [part for part in parts_of(picture, Shape) if len(part.points) == 3]
    box = next(part for part in parts_of(picture, Shape) if part.ringed)
    assert head.points[0][1] - max(y for _, y in box.points) == transfers.FREE_PX
    assert picture.description.endswith("eng_eld 73.33, eng_adu to eng_eld 33.33")
    assert transfers.drawings(scorebook(made({"eng_eld": IN_GROUP}))) == []


def test_bars_are_as_long_as_f1(by_hand):
    [picture] = section(by_hand, "labels").drawings
    bars = [part for part in parts_of(picture, Shape) if part.look == "accent"]
    widths = [bar.points[1][0] - bar.points[0][0] for bar in bars]
    np.testing.assert_allclose(np.array(widths) / 190, [2 / 3, 2 / 3, 0.8])
    assert "positive (2)" in words_of(picture)
    assert picture.description.endswith("neutral 66.67, negative 80.00 (2.39 to 99.85)")
    whisker = [part.points for part in parts_of(picture, Line) if part.width == 4]
    assert len(whisker) == 1  # the others have no interval


def test_a_curve_is_below_the_diagonal_where_a_model_is_too_sure():
    bins = [CalibrationBin(10, 0.5, 0.5), CalibrationBin(40, 0.9, 0.6)]
    picture = calibration.drawing_of("c", "eng_eld", {"eng_eld": bins}, {"eng_eld": "0.240"})
    first, second = parts_of(picture, Dot)
    assert second.radius == 2 * first.radius  # area by clips
    size = calibration.FIELD_PX
    assert (second.x - first.x, second.y - first.y) == pytest.approx((0.4 * size, -0.1 * size))


def test_every_curve_of_calibration_stands_below_the_name_of_its_training_set():
    bins = [CalibrationBin(10, 0.5, 0.5), CalibrationBin(40, 0.9, 0.6)]
    names = [f"cell {number}" for number in range(10)]
    errors = {name: f"0.{number}" for number, name in enumerate(names)}
    picture = calibration.drawing_of("c", "eng_eld", dict.fromkeys(names, bins), errors)
    curves = [line for line in parts_of(picture, Line) if line.width == 2]
    texts = {part.words: part for part in parts_of(picture, Text)}
    assert len(curves) == len(names)
    for name, curve in zip(names, curves, strict=True):
        assert 0 < curve.points[0][0] - texts[name].x < calibration.PITCH_PX
        assert 0 < curve.points[0][1] - texts[name].y < calibration.PITCH_PX
        assert texts[f"error {errors[name]}"].x == texts[name].x


def test_curves_of_a_test_cell_have_names_of_their_own_in_every_protocol():
    for protocol in PROTOCOLS.values():
        names = {}
        for setting in protocol:
            sets = names.setdefault((setting.test, curve_name(setting)), set())
            sets.add(setting.training_set)
        assert all(len(sets) == 1 for sets in names.values())


def test_the_slope_goes_through_the_mean_of_each_gender():
    known = Contrast(-0.1, 0.05, 0.01, 99, False, 0.01)
    result = AgeResult("crema_d", "eng_eld+eng_adu", 2, 2, 0.7, 0.5, known, known)
    table = {"age": [30.0, 70.0, 30.0, 70.0], "recall": [0.8, 0.4, 0.6, 0.6]}
    table = pd.DataFrame(table | {"gender": list("ffmm")})
    picture = speakers.drawing_of("age", result, table)
    women, men = [part.points for part in parts_of(picture, Line) if part.width == 2]
    by_points = speakers.SIZE_PX[1] * 0.4  # -0.1 a decade, four decades
    for start, end in (women, men):
        assert end[1] - start[1] == pytest.approx(by_points)
    middle = [np.mean([y for _, y in line]) for line in (women, men)]
    assert middle[0] == pytest.approx(middle[1])  # both genders' mean recall is 0.6
    assert "slope -10.00 points a decade (-15.00 to -5.00; p 0.0100)" in words_of(picture)
    assert len(parts_of(picture, Dot)) == 3  # two women, and one in the legend
    alone = Contrast(-0.1, None, None, 0, False)
    case = AgeResult("tess", "eng_eld", 1, 1, 0.7, 0.5, alone, alone)
    drawn = speakers.drawing_of("age", case, table.iloc[:2])
    assert [line for line in parts_of(drawn, Line) if line.width == 2] == []


def test_svg_takes_any_text_and_says_what_it_shows():
    hostile = "</svg><script>hit()</script>\x07&"
    picture = Drawing("x", hostile, hostile, 90, 30, (Text(0, 9, hostile),))
    for alone in (False, True):
        root = ElementTree.fromstring(drawing.svg(picture, alone=alone))
        assert root.get("role") == "img"
        assert root.get("aria-label") == printable(hostile)
        assert [element.text for element in root.iter() if element.tag.endswith("text")] == [
            printable(hostile)
        ]
    assert "prefers-color-scheme: dark" in drawing.svg(picture, alone=True)


def test_every_picture_of_a_report_has_a_name_and_a_description_of_its_own(reported):
    saved = figures.figures_of(reported("valence")[0])
    pictures = [figure.picture for part in saved.values() for figure in part if figure.picture]
    for facts in ("name", "description"):
        texts = [getattr(picture, facts) for picture in pictures]
        assert len(set(texts)) == len(texts)
        assert all(texts)
    assert {picture.name.partition("-")[0] for picture in pictures} == {
        *("age", "calibration", "confusion", "label", "labels", "transfer", "transfers"),
    }


def test_every_mark_in_a_picture_is_explained_in_it(reported):
    saved = figures.figures_of(reported("valence")[0])
    pictures = [figure.picture for part in saved.values() for figure in part if figure.picture]
    marked = 0
    for picture in pictures:
        shown = " ".join(words_of(picture))
        for mark, meaning in reservations.MEANINGS.items():
            if mark in shown:
                marked += 1
                assert f"{mark} {meaning}" in shown, picture.name
    assert marked


def test_the_index_has_every_file_and_every_picture(tmp_path, by_hand):
    paths = figures.save(by_hand, tmp_path, default_progress())
    page = (tmp_path / figures.INDEX).read_text(encoding="utf-8")
    addresses = set(re.findall(r'href="([^"#:]+)"', page))
    assert addresses == {path.name for path in tmp_path.iterdir()} - {figures.INDEX}
    assert {path.name for path in paths} == addresses | {figures.INDEX}
    assert page.count("<svg ") == sum(path.suffix == ".svg" for path in paths)
    for section_title, saved in figures.figures_of(by_hand).items():
        assert page.count(f"<h2>{section_title}</h2>") == 1
        for figure in saved:
            assert f'id="{figure.name}"' in page


def test_the_command_writes_pictures_and_tables(tmp_path, folders, synth_root, monkeypatch):
    pytest.importorskip("matplotlib")
    folder = folders(protocol="in-group", cells=["zho_eld"])
    (tmp_path / "figures").mkdir()
    board = tmp_path / "figures" / "index.html"
    board.write_text("a board")
    words = ["report", folder, "--corpora", synth_root, "--output", tmp_path]
    code, shown, errors = run_main(monkeypatch, [*words, "--figures", tmp_path / "figures"])
    assert (code, errors) == (0, "")
    assert board.read_text() == "a board"
    files = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    stem = "confusion-in-group-zho_eld-zho_eld"
    assert files[f"{stem}.png"].startswith(b"\x89PNG")
    assert files[f"{stem}.pdf"].startswith(b"%PDF")
    assert ElementTree.fromstring(files[f"{stem}.svg"]).get("width")
    assert b"\\toprule" in files[f"{stem}.tex"]
    assert f"{tmp_path / 'figures' / figures.INDEX}: shows the pictures of this report" in shown
    n_pictures = sum(name.endswith(".svg") for name in files)
    assert f"{n_pictures} svg, {n_pictures} png, {n_pictures} pdf" in shown
    for name, content in files.items():  # away from the page, each says what it is of
        if name.endswith((".svg", ".tex")):
            assert b"SYNTHETIC" in content, name


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, folders, monkeypatch):
    (tmp_path / "file").write_text("x")
    for option in ("--figures", "--output"):
        words = ["report", folders(protocol="in-group", cells=["zho_eld"])]
        code, shown, errors = run_main(monkeypatch, [*words, option, tmp_path / "file"])
        assert (code, shown) == (2, "")
        assert "expected a folder for results that can be written" in errors


def test_files_are_the_same_bytes_again_and_svg_needs_no_matplotlib(tmp_path, monkeypatch, by_hand):
    pytest.importorskip("matplotlib")
    part = replace(by_hand, sections=(section(by_hand, "transfer"),))
    for name in ("first", "second"):
        figures.save(part, tmp_path / name, default_progress())
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    paths = figures.save(part, tmp_path / "third", default_progress())
    assert {path.suffix for path in paths} == {".svg", ".tex", ".html"}
