"""CREMA-D: 91 actors aged 20-74 say 12 English sentences in six emotions (Cao et al. 2014).

    <any folder>/AudioWAV/1001_DFA_ANG_XX.wav       <actor>_<sentence>_<emotion>_<level>
    <any folder>/VideoDemographics.csv              "ActorID","Age","Sex","Race","Ethnicity"
    <any folder>/tabulatedVotes.csv                 "","A","D","F","H","N","S","fileName",...

Name, by position: actor 1001-1091; sentence (three letters); ANG DIS FEA HAP NEU SAD; level LO MD
HI XX. 16 kHz mono. Clones without git-lfs hold 130-byte pointer files. Some copies name one clip
`1040_ITH_SAD_X`: it is read as `1040_ITH_SAD_XX`. `1076_MTI_SAD_XX` is silent, and three clips
are byte for byte another emotion's, in every copy: 1017_IWW_FEA_XX (ANG), 1006_TIE_NEU_XX (HAP),
1013_WSI_SAD_XX (DIS). Six actors are 60 or older.

The label is the emotion that the actor was asked for. What 4 to 12 raters a clip chose instead
stands in the votes, which are not needed: rows 1xxxxx are of the voice, 2xxxxx of the face, 3xxxxx
of both. Those of the voice are read, for that is all that a speech model hears.
"""

import re

from bimotion.corpora.card import Card, Corpus, Reading, Statements, checked_age, counter, sounds
from bimotion.corpora.sources import Files, github
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import Finding, Utterance, Votes
from bimotion.errors import CorpusMalformed

REPOSITORY, COMMIT = "CheyneyComputerScience/CREMA-D", "1658cd342dff90010aa843eaeebd53610a08b1dc"
MIRROR = "https://gitlab.com/cs-cooper-lab/crema-d-mirror/-/raw/main/"
CARD = Card(
    name="crema_d",
    title="CREMA-D",
    cells=("eng_eld", "eng_adu"),
    native_labels={
        "ANG": "angry",
        "DIS": "disgust",
        "FEA": "fear",
        "HAP": "happiness",
        "NEU": "neutral",
        "SAD": "sadness",
    },
    n_utterances=7442,
    sample_rates_hz=(16000,),
    licence="ODbL-1.0",
    redistribution="audio",
    url="https://github.com/CheyneyComputerScience/CREMA-D",
    obtain="git clone with git-lfs installed (folder AudioWAV and the file VideoDemographics.csv)",
    citation="Cao et al. 2014, CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset, doi "
    "10.1109/TAFFC.2014.2336244",
    age_source="measured",
    age_note="recorded per actor in VideoDemographics.csv",
    known={"crema_d/1076_MTI_SAD_XX": "silent"},
    sources=(
        Files((github(REPOSITORY, COMMIT, lfs=True), MIRROR), frozenset({".wav"})),
        Files((github(REPOSITORY, COMMIT), MIRROR), frozenset({".csv", ".txt"})),
    ),
    faults="1076_MTI_SAD_XX is silent; 1017_IWW_FEA_XX, 1006_TIE_NEU_XX and "
    "1013_WSI_SAD_XX hold another clip's sound, of another emotion; only six actors "
    "are 60 or older",
)
GRAMMAR = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(XX?|LO|MD|HI)", re.IGNORECASE)
ACTOR_FACTS = {
    "ActorID": re.compile(r"1[0-9]{3}"),
    "Age": re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?"),
    "Sex": re.compile(r"(fe)?male", re.IGNORECASE),
}
DEMOGRAPHICS = "VideoDemographics.csv"
VOTES = "tabulatedVotes.csv"
RATED = dict(zip("ADFHNS", CARD.native_labels.values(), strict=True))
"""Column of the votes -> canonical emotion."""
VOTE_FACTS = {
    "": re.compile(r"[123][0-9]{5}"),
    "fileName": GRAMMAR,
    "numResponses": re.compile(r"[1-9][0-9]?"),
    **dict.fromkeys(RATED, re.compile(r"[0-9]{1,2}")),
}


def read(tree: Tree) -> Reading:
    """Utterances of a CREMA-D folder; raises CorpusMalformed without a usable
    VideoDemographics.csv."""
    actors = _actors(tree)
    if actors is None:
        raise CorpusMalformed(
            f"{tree.root}: expected {DEMOGRAPHICS} (ages and sexes of the actors) in the "
            f"CREMA-D folder, found none; it stands beside AudioWAV in {CARD.url}"
        )
    votes = voice_votes(tree)
    return Reading.of(
        _clip(file.path, match, actors, votes) for file, match in sounds(tree, GRAMMAR)
    )


def _clip(
    path: str, match: re.Match, actors: Statements, votes: dict[str, Votes]
) -> Utterance | Finding:
    actor, sentence, code, _ = (part.upper() for part in match.groups())
    if actor not in actors:
        return CARD.finding("unlabelled", path, f"actor {actor} is not in {DEMOGRAPHICS}")
    age_years, gender = actors[actor]
    stem = _stem(match)
    return CARD.utterance(
        stem,
        path,
        [code],
        speaker=actor,
        sentence=sentence,
        language="eng",
        age_years=age_years,
        gender=gender,
        votes=votes.get(stem),
    )


def _stem(match: re.Match) -> str:
    actor, sentence, code, level = (part.upper() for part in match.groups())
    return f"{actor}_{sentence}_{code}_{'XX' if level == 'X' else level}"


def _actors(tree: Tree) -> Statements | None:
    """Actor -> (age in years, gender), by every copy of the table; None where there is none."""
    tables = tree.named(re.compile(re.escape(DEMOGRAPHICS), re.IGNORECASE))
    if not tables:
        return None
    actors = Statements("actor")
    for table in tables[DEMOGRAPHICS.lower()]:
        for where, row in tree.csv_rows(table):
            facts = {column: row.get(column) for column in ACTOR_FACTS}
            if not all(
                grammar.fullmatch(facts[column] or "") for column, grammar in ACTOR_FACTS.items()
            ):
                stated = ", ".join(f"{column} {text!r:.40}" for column, text in facts.items())
                raise CorpusMalformed(
                    f"{where}: expected columns ActorID, Age, Sex (such as 1001, 51, Male), found "
                    f"{stated}; download it again"
                )
            actor, age, sex = facts.values()
            actors.add(actor, (checked_age(float(age), where), sex[0].lower()), where)
    return actors


def voice_votes(tree: Tree) -> dict[str, Votes]:
    """Clip -> the choice of each rater who heard it, by every copy of the table."""
    votes = Statements("votes on clip")
    tables = tree.named(re.compile(re.escape(VOTES), re.IGNORECASE))
    for table in tables.get(VOTES.lower(), ()):
        for where, row in tree.csv_rows(table):
            facts = {column: row.get(column) or "" for column in VOTE_FACTS}
            is_whole = all(VOTE_FACTS[name].fullmatch(text) for name, text in facts.items())
            if not is_whole or int(facts["numResponses"]) != sum(int(facts[n]) for n in RATED):
                stated = ", ".join(f"{name or 'row'} {text!r:.40}" for name, text in facts.items())
                raise CorpusMalformed(
                    f"{where}: expected a row number, columns A to S of raters, fileName and "
                    f"numResponses, their sum; found {stated}; download it again, or remove it: "
                    "votes are not needed"
                )
            if facts[""].startswith("1"):
                chosen = [(RATED[name],) for name in RATED for _ in range(int(facts[name]))]
                votes.add(_stem(GRAMMAR.fullmatch(facts["fileName"])), tuple(chosen), where)
    return dict(votes.items())


def _sentence(stem: str) -> dict[str, str] | None:
    match = GRAMMAR.fullmatch(stem)
    return match and {"sentence": match[2]}


def _speakers(tree: Tree) -> dict[str, tuple[float, str]] | None:
    actors = _actors(tree)
    return actors and dict(actors.items())


CORPUS = Corpus(CARD, counter(GRAMMAR), read, facts_of_name=_sentence, speakers=_speakers)
