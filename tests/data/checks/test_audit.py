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


def stems(part):
    """Names of CSED's clips in a part."""
    parts = rosters.load("csed")["paper"]
    return [name.partition("/")[2] for name in parts.index[parts == part]]


def audited(root, **options):
    return audit(manifest.build(CorpusSource.of(root)), "paper", Progress(), **options)


def test_audit_finds_equal_audio_in_two_parts(csed_root, untouched):
    """In any two parts, in another container too; not within a part."""
    samples, rate = soundfile.read(clip(csed_root, stems("train")[-1]), dtype="int16")
    clip(csed_root, stems("test")[-1]).unlink()
    soundfile.write(clip(csed_root, stems("test")[-1]).with_suffix(".flac"), samples, rate)
    pairs = {("train", "test"): (stems("train")[-1], stems("test")[-1])}
    for n, pair in enumerate([("train", "validation"), ("validation", "test")]):
        pairs[pair] = stems(pair[0])[n], stems(pair[1])[n + 2]
        shutil.copy(clip(csed_root, pairs[pair][0]), clip(csed_root, pairs[pair][1]))
    shutil.copy(clip(csed_root, stems("train")[10]), clip(csed_root, stems("train")[11]))
    with untouched(csed_root):
        shared = {item.parts: item for item in audited(csed_root).shared}
    for pair, names in pairs.items():
        equal = " = ".join(sorted(f"csed/{name}" for name in names))
        assert shared.pop(pair) == Shared("csed", "audio", pair, [equal])
    assert shared == {}
    assert audited(csed_root, listen=False).shared == []


def test_audit_counts_every_clip_once(whole_csed):
    counted = audited(whole_csed, listen=False)
    sizes = zip(PARTS, splits.PAPER_SIZES["csed", "zho_eld"], strict=True)
    assert [(count.cell, count.part, count.n_utterances) for count in counted.cells] == [
        ("zho_eld", *size) for size in sizes
    ]
    for count in counted.cells:
        assert (count.n_speakers, count.n_speaker_unknown) == (0, count.n_utterances)
        assert count.age_source == {"assumed": count.n_utterances}
        assert sum(count.emotions.values()) == count.n_utterances
        assert count.hours == pytest.approx(count.n_utterances * 3000 / RATE_HZ / 3600, abs=1e-4)
    assert counted.not_disjoint == {"csed": "speakers are not published"}
    assert counted.together == {}


def test_audit_of_speakers_and_sentences_under_both_rules(true_manifest):
    paper, disjoint = (
        audit(true_manifest, rule, Progress(), listen=False) for rule in ("paper", "disjoint")
    )
    speakers, sentences = (
        [
            {(item.corpus, item.parts): item.names for item in audited.shared if item.what == what}
            for audited in (paper, disjoint)
        ]
        for what in ("speaker", "sentence")
    )
    sharing = [sorted({corpus for corpus, _ in shared}) for shared in speakers]
    assert sharing == [["crema_d", "esd", "iemocap", "tess", "yuemotion"], ["tess"]]
    assert speakers[1]["tess", ("train", "test")] == ["tess/OAF", "tess/YAF"]
    assert len(speakers[0]["esd", ("train", "test")]) == 20
    assert ("crema_d", ("train", "test")) in sentences[0]
    # the official split is by sentence
    assert "esd" not in {corpus for corpus, _ in sentences[0]}
    assert ("esd", ("train", "test")) in sentences[1]
    assert sum(count.n_utterances for count in paper.cells) == len(true_manifest.table)
    assert "angry+disgust" in paper.together  # ElderReact marks several
    assert set(disjoint.not_disjoint) == {"csed", "elderreact", "tess"}


def test_audit_command(csed_root, bimotion):
    first, second = stems("train")[0], stems("test")[-1]
    shutil.copy(clip(csed_root, first), clip(csed_root, second))
    words = ["data", "audit", "--corpora", csed_root, "--split-rule", "paper"]
    code, shown, _ = bimotion(*words, "--json")
    read = json.loads(shown)
    assert code == 0
    assert read["split_rule"] == "paper"
    assert [(shared["what"], shared["parts"]) for shared in read["shared"]] == [
        ("audio", ["train", "test"])
    ]
    assert sum(count["n_utterances"] for count in read["cells"]) == 652
    code, shown, _ = bimotion(*words)
    assert code == 0
    assert f"csed/{min(first, second)} = csed/{max(first, second)}" in shown
    assert "csed: speakers are not kept apart: speakers are not published" in shown
