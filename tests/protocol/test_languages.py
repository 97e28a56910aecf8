"""Distances of languages: the committed table, and the same counts from URIEL's own data where
lang2vec is installed."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from bimotion.errors import UnknownName
from bimotion.protocol import languages
from bimotion.protocol.cells import LANGUAGES, Cell

ALL = ("eng", "zho", "yue", "deu", "fas", "urd")


def test_every_pair_of_languages_is_in_the_table():
    assert set(ALL) == set(LANGUAGES)
    for pair in itertools.product(ALL, ALL):
        for kind in languages.KINDS:
            value = languages.distance(*pair, kind)
            assert value == languages.distance(*pair[::-1], kind)
            assert value is None or 0 <= value <= 1
    for pair in itertools.combinations(LANGUAGES, 2):
        assert languages.distance(*pair, "syntax") is not None
        # WALS knows no phonology of Urdu
        assert (languages.distance(*pair) is None) == ("urd" in pair)


def test_cantonese_is_nearer_to_mandarin_than_to_english():
    for kind in languages.KINDS:
        assert languages.distance("yue", "zho", kind) < languages.distance("yue", "eng", kind), kind


def test_of_a_training_set_the_other_languages_count():
    yue, zho, eng = (Cell(language, "adu") for language in ("yue", "zho", "eng"))
    assert languages.distance_from([yue], yue) is None
    assert languages.distance_from([yue, zho], yue) == 3 / 25
    assert languages.distance_from([zho, eng], yue) == pytest.approx((3 / 25 + 7 / 24) / 2)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="unknown language 'fra'"):
        languages.distance("fra", "eng")
    with pytest.raises(UnknownName, match="unknown distance 'genes'"):
        languages.distance("yue", "eng", "genes")


def test_the_table_is_what_uriel_says():
    package = importlib.util.find_spec("lang2vec")
    if package is None:
        pytest.skip("lang2vec, whose data are CC BY-SA 4.0, is not installed: pip install lang2vec")
    data = np.load(
        Path(package.submodule_search_locations[0]) / "data" / "features.npz", allow_pickle=False
    )
    names, sources, codes, values = (data[name] for name in ("feats", "sources", "langs", "data"))
    codes, sources = codes.tolist(), sources.tolist()
    kinds = {
        "phonology": ("P_", "WALS"),
        "syntax": ("S_", "WALS"),
        "inventory": ("INV_", "PHOIBLE_SPA"),
    }
    codes_of = {"zho": "cmn", "fas": "pes"}
    for pair, kind in itertools.product(itertools.combinations(ALL, 2), kinds):
        start, source = kinds[kind]
        rows = [codes.index(codes_of.get(code, code)) for code in pair]
        columns = np.char.startswith(names, start)
        first, second = values[rows][:, columns, sources.index(source)]
        both = (first >= 0) & (second >= 0)
        counted = (first != second)[both].sum() / both.sum() if both.any() else None
        assert languages.distance(*pair, kind) == counted, (pair, kind)
