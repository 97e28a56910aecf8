"""The YAML of a dataset card, as the Hub takes it."""

from collections.abc import Iterable, Sequence

from huggingface_hub import DatasetCardData

from bimotion.corpora.card import Card

LICENCES = {
    "ODbL-1.0": "odbl",
    "Apache-2.0": "apache-2.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-NC-ND-4.0": "cc-by-nc-nd-4.0",
}
"""Licence of a card -> what the Hub calls it; others are `other` there."""
LANGUAGES = {"eng": "en", "zho": "zh", "yue": "yue", "deu": "de", "fas": "fa", "urd": "ur"}
"""Language of a cell (ISO 639-3) -> the code by which the Hub lists it: of two letters, if any."""
SIZES = {1000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 10**9: "100K<n<1M"}
"""Above so many clips -> the Hub's name of the size."""


def metadata_of(
    name: str,
    languages: Iterable[str],
    cards: Sequence[Card],
    n_clips: int,
    *,
    synthetic: bool = False,
) -> DatasetCardData:
    """The YAML of a dataset.

    Args:
        name: As its readers see it.
        languages: Of its cells.
        cards: Of its corpora, whose licences are its own.
        n_clips: In all.
        synthetic: It holds made-up clips.
    """
    licences = sorted({LICENCES.get(card.licence, "other") for card in cards})
    codes = sorted(LANGUAGES[language] for language in languages)
    return DatasetCardData(
        pretty_name=name,
        language=codes,
        multilinguality="multilingual" if len(codes) > 1 else "monolingual",
        license=licences[0] if len(licences) == 1 else licences,
        license_name="per-corpus" if "other" in licences else None,
        task_categories=["audio-classification"],
        size_categories=[next(size for limit, size in SIZES.items() if n_clips < limit)],
        tags=["speech-emotion-recognition", "audio", *["synthetic"] * synthetic],
    )
