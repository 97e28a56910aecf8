"""The doctor finds damaged, repeated and implausible clips, and no fault in a healthy corpus."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimotion.analysis.report.caveats import caveats
from bimotion.analysis.report.scorebook import scorebook
from bimotion.analysis.runs import load as load_runs
from bimotion.corpora import CORPORA
from bimotion.data import manifest
from bimotion.data.checks import doctor
from bimotion.data.source import CorpusSource
from bimotion.evaluation import run as runner
from bimotion.io.progress import Progress
from tests.support.healthy_corpus import (
    FOLDER,
    RATE_HZ,
    TWIN,
    VICTIM,
    WHERE,
    clip,
    diagnosis,
    facts,
    noise,
)


def test_healthy_corpus(whole_csed, untouched, bimotion):
    with untouched(whole_csed):
        diagnoses = doctor.diagnose(CorpusSource.of(whole_csed), Progress())
        code, shown, _ = bimotion("data", "doctor", whole_csed)
    of = {seen.corpus: seen for seen in diagnoses}
    csed = of.pop("csed")
    assert (csed.state, csed.n_utterances, csed.n_published) == ("complete", 652, 652)
    assert csed.problems == csed.harmless == []
    assert csed.folder == str((whole_csed / "CSED").resolve())
    assert code == 0
    assert "complete" in shown
    optional = {name for name, seen in of.items() if seen.state == "optional, not found"}
    assert optional == {"emo_db", "shemo", "urdu"}
    assert {of[name].state for name in of.keys() - optional} == {"not found"}
    assert "optional: emo_db, shemo, urdu: only for protocol extension" in " ".join(shown.split())
    assert of.keys() == CORPORA.keys() - {"csed"}
    assert all(CORPORA[name].card.url in shown for name in of)


def test_all_true_names_are_complete(true_tree, true_manifest):
    for seen in doctor.diagnose(CorpusSource.of(true_tree), Progress(), listen=False):
        assert seen.state == "complete", seen.corpus
        assert seen.n_utterances == seen.n_published
        assert seen.problems == seen.harmless == []


def of_text(text):
    return lambda path: path.write_text(text)


POINTER = of_text("version https://git-lfs.github.com/spec/v1\n")
DAMAGE = {  # what is done to a clip -> kind, where, part of the detail; state of the corpus
    "missing": (Path.unlink, f"csed/{VICTIM}", "", "incomplete"),
    "empty": (of_text(""), WHERE, "0 bytes", "incomplete"),
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:900]),
        WHERE,
        "header announces 6044 bytes",
        "incomplete",
    ),
    "pointer": (POINTER, WHERE, "text", "incomplete"),
    "unreadable": (of_text("<html>403</html>" * 9), WHERE, "", "incomplete"),
    "conflict": (
        lambda path: noise(path.parent / "old" / path.name, 1003, 4000),
        f"csed/{VICTIM}",
        "old/",
        "incomplete",
    ),
    "rate": (lambda path: noise(path, 1005, rate=22050), WHERE, "22050 Hz, expected 44100", "odd"),
    "aiff": (lambda path: noise(path, 1005, format="AIFF"), WHERE, "", "odd"),
    "silent": (
        lambda path: soundfile.write(path, np.zeros(1900), RATE_HZ),
        f"csed/{VICTIM}",
        "peak 0.000000",
        "odd",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage(csed_root, untouched, bimotion, kind):
    spoil, where, detail, state = DAMAGE[kind]
    spoil(clip(csed_root, VICTIM))
    with untouched(csed_root):
        csed = diagnosis(csed_root)
        code, shown, _ = bimotion("data", "doctor", csed_root)
    ((seen_kind, seen_where, seen_detail),) = facts(csed.problems)
    assert (seen_kind, seen_where) == (kind, where)
    assert detail in seen_detail
    assert csed.harmless == []
    assert csed.state == state
    assert csed.n_utterances == (652 if state == "odd" else 651)
    assert code == 1
    assert f"csed: 1 {kind} (" in shown
    assert where in shown


AS_LOUD = "gain +0.0 dB, shift"
CHANGED = {  # what is made of another clip -> part of the detail
    "louder": (lambda samples: samples * 2, "gain +6.0 dB, shift +0.000 s"),
    "softer, by far": (lambda samples: samples / 16, "gain -24.1 dB, shift +0.000 s"),
    "upside down": (lambda samples: -samples, f"{AS_LOUD} +0.000 s"),
    "later": (lambda samples: np.pad(samples, (RATE_HZ // 10, 0)), f"{AS_LOUD} +0.100 s"),
    "earlier": (lambda samples: np.pad(samples, (0, RATE_HZ // 10)), f"{AS_LOUD} +0.000 s"),
    "with an offset": (lambda samples: samples + 0.1, f"{AS_LOUD} +0.000 s"),
    "softer, cut and later": (
        lambda samples: np.pad(samples[300:] / 3, (4000, 900)),
        "gain -9.6 dB, shift +0.084 s",
    ),
}


def test_one_recording_but_for_gain_or_shift(tmp_path):
    """Each of two clips alike counts once, and is told from what it is."""
    folder, expected = tmp_path / "CSED" / FOLDER, []
    for seed in range(30):
        noise(folder / f"Nat_male_{seed + 1}.wav", seed, n_samples=RATE_HZ // 2 + seed)
    for number, (change, detail) in enumerate(CHANGED.values(), start=1):
        samples, _ = soundfile.read(folder / f"Nat_male_{number}.wav")
        path = folder / f"Nat_male_{90 + number}.wav"
        soundfile.write(path, change(samples), RATE_HZ, subtype="PCM_16")
        twins = f"csed/{path.stem}", f"of csed/Nat_male_{number}: {detail}"
        expected.append(("near duplicate", *twins))
    problems = facts(diagnosis(tmp_path).problems)
    assert [problem for problem in problems if problem[0] == "near duplicate"] == expected


def test_of_several_alike_each_but_the_first_counts_once(tmp_path):
    for seed in (1, 2):
        noise(clip(tmp_path, f"Nat_male_{seed}"), seed, n_samples=RATE_HZ // 2)
    samples, _ = soundfile.read(clip(tmp_path, "Nat_male_1"))
    for number in (3, 4, 5):
        path = clip(tmp_path, f"Nat_male_{number}")
        soundfile.write(path, samples / number, RATE_HZ, subtype="PCM_16")
    made = manifest.build(CorpusSource.of(tmp_path))
    assert doctor.oddities("csed", made, Progress()) == {"near duplicate": 3}


def test_implausible_clips_and_lengths_are_told_and_carried_by_a_result(csed_root, tmp_path):
    soundfile.write(clip(csed_root, VICTIM), np.full(900, 0.25), RATE_HZ)
    soundfile.write(clip(csed_root, TWIN), 0.1 * np.ones(100) * np.arange(100) / 100, RATE_HZ)
    noise(clip(csed_root, "Nat_male_9"), 2000, n_samples=61 * RATE_HZ)
    shutil.copy(clip(csed_root, "Nat_male_10"), clip(csed_root, "Neg_male_10"))
    options = {"data_dir": csed_root, "only": ["csed"], "protocol": "in-group"}
    before = runner.evaluate("bimotion/majority", output=tmp_path / "before", **options)
    problems = facts(diagnosis(csed_root).problems)
    kinds = sorted((kind, where.partition("/")[2]) for kind, where, _ in problems)
    assert kinds == [
        ("constant", VICTIM),
        ("contradicting", "Neg_male_10"),
        ("long", "Nat_male_9"),
        ("short", VICTIM),
        ("short", TWIN),
    ]
    # the doctor has listened meanwhile: nothing that this machine did before changes a result
    after = runner.evaluate("bimotion/majority", output=tmp_path / "after", **options)
    assert before.data == after.data
    odd = {"constant": 1, "contradicting": 1, "long": 1, "short": 2}
    assert after.data.corpora["csed"].oddities == odd
    [run] = load_runs([after.folder(tmp_path / "after")])
    [caveat] = [note for note in caveats(run, scorebook(run)) if note.name == "Odd clips"]
    assert caveat.numbers == ("csed: 1 constant, 1 contradicting, 1 long, 2 short",)


def test_a_corpus_of_one_length(tmp_path):
    for number in range(1, 31):
        n_samples = RATE_HZ // (1 + (number == 1))
        noise(clip(tmp_path, f"Nat_male_{number}"), number, n_samples=n_samples)
    problems = facts(diagnosis(tmp_path).problems)
    assert [problem for problem in problems if problem[0] != "missing"] == [
        ("one length", "CSED", "29 of 30 clips have 1.000 s")
    ]
