"""IEMOCAP: ten actors in five dyadic sessions, improvised and scripted, 10039 utterances (Busso et
al. 2008).

    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav
    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
        [6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]
        C-E2:<TAB>Neutral; Anger;<TAB>(what the rater wrote)

Name, by position: session; who wears the markers (F or M, NOT the speaker); dialog; then the
speaker's gender and a number. The speaker is session + that last letter: the paper's code took the
gender from the dialog's name, which is wrong for 4951 clips. Codes: ang dis exc fea fru hap neu oth
sad sur, xxx (no agreement). 16 kHz mono. Age 30 is assumed.

The label is the emotion that most raters chose. They saw the video too; each of the lines C-E1 to
C-E6 below a label is one rater's, of one emotion or several. C-F1 and C-M1 are of the actors
themselves, who are no raters, and A-E1 is of valence, activation and dominance.
"""

import re

from bimotion.corpora.card import Card, Corpus, Reading, Statements, contradicted, counter, sounds
from bimotion.corpora.sources import GIGABYTE, Bounds, Form
from bimotion.corpora.tree import File, Tree
from bimotion.corpora.utterance import Finding, Utterance, Votes
from bimotion.errors import CorpusMalformed

CARD = Card(
    name="iemocap",
    title="IEMOCAP",
    cells=("eng_adu",),
    native_labels={
        "ang": "angry",
        "dis": "disgust",
        "exc": "excitement",
        "fea": "fear",
        "fru": "frustrated",
        "hap": "happiness",
        "neu": "neutral",
        "oth": "other",
        "sad": "sadness",
        "sur": "surprise",
        "xxx": "unknown",
    },
    n_utterances=10039,
    sample_rates_hz=(16000,),
    licence="signed USC release",
    redistribution="nothing",
    url="https://sail.usc.edu/iemocap/",
    obtain="sign and send the release form named there",
    citation="Busso et al. 2008, IEMOCAP: interactive emotional dyadic motion capture database, "
    "doi 10.1007/s10579-008-9076-6",
    age_source="assumed",
    age_years=30,
    age_note="assumed 30 by the BiMotion paper; the corpus gives no ages",
    form=Form(
        (
            "open https://sail.usc.edu/iemocap/iemocap_release.htm, sign the release form named "
            "there and send it as that page says",
            "download the archive by the link that USC sends",
        ),
        frozenset({".wav", ".txt"}),
        Bounds(max_files=100_000, max_bytes=64 * GIGABYTE, max_file_bytes=256 * 1024**2),
    ),
    faults="no ages; who wears the markers, in a clip's name, is not the speaker; "
    "sentences are not known; raters saw the video too",
)
GRAMMAR = re.compile(r"(Ses0([1-5])[FM]_(?:impro|script)\w*)_([FM])(\d{3})")
LABEL_LINE = re.compile(r"\[\d+\.\d+ - \d+\.\d+\]\t(\w+)\t(\w+)\t\[.*\]")
VOTE_LINE = re.compile(r"C-E(\d+):\s*([^()]*?)\s*(\(.*)?")
CHOICES = {
    "anger": "angry",
    "disgust": "disgust",
    "excited": "excitement",
    "fear": "fear",
    "frustration": "frustrated",
    "happiness": "happiness",
    "neutral state": "neutral",
    "neutral": "neutral",
    "other": "other",
    "sadness": "sadness",
    "surprise": "surprise",
}
"""What a rater can write, in lower case -> canonical emotion."""
DIALOG = re.compile(r"ses0[1-5][fm]_(?:impro|script)\w*")  # of a folder, in lower case
SESSION = re.compile(r"session([1-5])")
LABEL_FOLDER = "EmoEvaluation"
LABEL_FILE = re.compile(rf"(^|/){LABEL_FOLDER}/[^/]*\.(?i:txt)$")


def read(tree: Tree) -> Reading:
    """Utterances of an IEMOCAP folder; raises CorpusMalformed for an unknown label code or no label
    file at all."""
    tables = [file for file in tree.files if LABEL_FILE.search(file.path)]
    if not tables:
        raise CorpusMalformed(
            f"{tree.root}: expected label files Session*/dialog/{LABEL_FOLDER}/<dialog>.txt, "
            "found none; copy them from the release"
        )
    labels, (votes, findings) = _labels(tree, tables), _votes(tree, tables)
    clips = [
        _clip(file.path, file.stem, match, labels, votes) for file, match in sounds(tree, GRAMMAR)
    ]
    return Reading.of(clips + findings)


def _clip(
    path: str, stem: str, match: re.Match, labels: Statements, votes: dict[str, Votes]
) -> Utterance | Finding:
    dialog, session, gender, _ = match.groups()
    if stem not in labels:
        return CARD.finding("unlabelled", path, f"not in {LABEL_FOLDER}/{dialog}.txt")
    if folder := contradicted(path, _session, session) or contradicted(
        path, _dialog, dialog.lower()
    ):
        return CARD.finding("contradiction", path, f"name says {dialog}, folder says {folder}")
    return CARD.utterance(
        stem,
        path,
        [labels[stem]],
        speaker=f"{session}{gender}",
        language="eng",
        gender=gender.lower(),
        votes=votes.get(stem),
    )


def _session(folder: str) -> str | None:
    return match[1] if (match := SESSION.fullmatch(folder)) else None


def _dialog(folder: str) -> str | None:
    return folder if DIALOG.fullmatch(folder) else None


def _labels(tree: Tree, tables: list[File]) -> Statements:
    """Utterance name -> label code, from the consensus lines of all dialogs."""
    labels = Statements("utterance")
    for table in tables:
        for where, line in tree.lines(table):
            if not (match := LABEL_LINE.fullmatch(line.rstrip())):
                continue
            if match[2] not in CARD.native_labels:
                raise CorpusMalformed(
                    f"{where}: unknown label {match[2]!r}: expected one of "
                    f"{', '.join(CARD.native_labels)}"
                )
            labels.add(match[1], match[2], where)
    return labels


def _votes(tree: Tree, tables: list[File]) -> tuple[dict[str, Votes], list[Finding]]:
    """Utterance name -> the choices of each rater; a finding for each whose lines cannot be
    understood."""
    votes, findings = Statements("votes on utterance"), {}
    for table in tables:
        stem, raters, start = "", {}, ""
        for where, line in [*tree.lines(table), ("", "[")]:
            if stem and line.lstrip().startswith("C-E"):
                match = VOTE_LINE.fullmatch(line.strip())
                rater, names = match.group(1, 2) if match else ("", "")
                chosen = [name.strip().lower() for name in names.split(";") if name.strip()]
                unknown = [name for name in chosen if name not in CHOICES]
                if unknown or not chosen or rater in raters:
                    findings[stem] = CARD.finding("votes", f"{CARD.name}/{stem}", f"{line!r:.80}")
                raters[rater] = tuple(dict.fromkeys(map(CHOICES.get, chosen)))
            elif line.startswith("["):
                if raters and stem not in findings:
                    votes.add(stem, tuple(raters.values()), start)
                match = LABEL_LINE.fullmatch(line.rstrip())
                stem, raters, start = match[1] if match else "", {}, where
    return dict(votes.items()), list(findings.values())


CORPUS = Corpus(CARD, counter(GRAMMAR), read)
