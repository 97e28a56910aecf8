"""The audit finds what the parts of a split share: sound, speakers, sentences."""

import json
import shutil

import pytest
import soundfile

from bimotion.corpora.utterance import PARTS
from bimotion.data import manifest, rosters, splits
from bimotion.data.checks.audit import Shared, audit
from bimotion.data.source import CorpusSource
from bimotion.io.progress import Progress
from tests.support.healthy_corpus import RATE_HZ, clip


def two_of(part, other):
    """A CSED clip of each of two parts."""
    parts = rosters.load("csed")["paper"]
    return parts.index[parts == part][0].partition("/")[2], parts.index[parts == other][
        -1
    ].partition("/")[2]


@pytest.mark.parametrize(
    "pair", [("train", "test"), ("train", "validation"), ("validation", "test")]
)
def test_audit_finds_equal_audio_in_two_parts(csed_root, untouched, pair):
    first, second = two_of(*pair)
    shutil.copy(clip(csed_root, first), clip(csed_root, second))
    with untouched(csed_root):
        found = audit(manifest.build(CorpusSource.of(csed_root)), "paper", Progress())
    equal = " = ".join(sorted((f"csed/{first}", f"csed/{second}")))
    assert found.shared == [Shared("csed", "audio", pair, [equal])]
    assert (
        audit(manifest.build(CorpusSource.of(csed_root)), "paper", Progress(), listen=False).shared
        == []
    )


def test_audit_knows_equal_audio_in_another_container(csed_root):
    first, second = two_of("train", "test")
    samples, rate = soundfile.read(clip(csed_root, first), dtype="int16")
    clip(csed_root, second).unlink()
    soundfile.write(clip(csed_root, second).with_suffix(".flac"), samples, rate)
    (shared,) = audit(manifest.build(CorpusSource.of(csed_root)), "paper", Progress()).shared
    assert (shared.what, shared.parts) == ("audio", ("train", "test"))


def test_audit_does_not_mind_equal_audio_within_a_part(csed_root):
    parts = rosters.load("csed")["paper"]
    first, second = (name.partition("/")[2] for name in parts.index[parts == "train"][:2])
    shutil.copy(clip(csed_root, first), clip(csed_root, second))
    assert audit(manifest.build(CorpusSource.of(csed_root)), "paper", Progress()).shared == []


def test_audit_counts_every_clip_once(whole_csed):
    found = audit(manifest.build(CorpusSource.of(whole_csed)), "paper", Progress(), listen=False)
    assert [(count.part, count.cell, count.n_utterances) for count in found.cells] == [
        (part, "zho_eld", size)
        for part, size in zip(PARTS, splits.PAPER_SIZES["csed", "zho_eld"], strict=True)
    ]
    for count in found.cells:
        assert (count.n_speakers, count.n_speaker_unknown) == (0, count.n_utterances)
        assert count.age_source == {"assumed": count.n_utterances}
        assert sum(count.emotions.values()) == count.n_utterances
        assert count.hours == pytest.approx(count.n_utterances * 3000 / RATE_HZ / 3600, abs=1e-4)
    assert found.not_disjoint == {"csed": "speakers are not published"}
    assert found.together == {}


def test_audit_of_speakers_and_sentences_under_both_rules(true_manifest):
    paper, disjoint = (
        audit(true_manifest, rule, Progress(), listen=False) for rule in splits.RULES
    )
    speakers = {
        rule: {shared.corpus: shared for shared in found.shared if shared.what == "speaker"}
        for rule, found in zip(splits.RULES, (paper, disjoint), strict=True)
    }
    assert set(speakers["paper"]) == {"crema_d", "esd", "iemocap", "tess", "yuemotion"}
    assert set(speakers["disjoint"]) == {"tess"}
    assert speakers["disjoint"]["tess"].names == ["tess/OAF", "tess/YAF"]
    assert len(speakers["paper"]["esd"].names) == 20
    sentences = {
        (shared.corpus, shared.parts) for shared in paper.shared if shared.what == "sentence"
    }
    assert ("crema_d", ("train", "test")) in sentences
    assert "esd" not in {corpus for corpus, _ in sentences}  # the official split is by sentence
    assert ("esd", ("train", "test")) in {
        (s.corpus, s.parts) for s in disjoint.shared if s.what == "sentence"
    }
    assert sum(count.n_utterances for count in paper.cells) == len(true_manifest.table)
    assert "angry+disgust" in paper.together  # ElderReact marks several
    assert set(disjoint.not_disjoint) == {"csed", "elderreact", "tess"}


def test_audit_command(csed_root, bimotion):
    first, second = two_of("train", "test")
    shutil.copy(clip(csed_root, first), clip(csed_root, second))
    code, shown, _ = bimotion("data", "audit", "--corpora", csed_root, "--json")
    read = json.loads(shown)
    assert code == 0
    assert read["split_rule"] == "paper"
    assert [(shared["what"], shared["parts"]) for shared in read["shared"]] == [
        ("audio", ["train", "test"])
    ]
    assert sum(count["n_utterances"] for count in read["cells"]) == 652
    code, shown, _ = bimotion("data", "audit", "--corpora", csed_root)
    assert code == 0
    assert f"csed/{min(first, second)} = csed/{max(first, second)}" in shown
    assert "csed: speakers are not kept apart: speakers are not published" in shown
