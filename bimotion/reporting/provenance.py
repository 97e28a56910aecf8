"""How a run was made, all of it; and the pictures of its features, where `bimotion project` made some."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from bimotion.errors import RecordError
from bimotion.reporting.report import Grid, Picture, Section, Value, said
from bimotion.results import Result


def provenance(result: Result) -> Section:
    """What was asked, where and when it ran, corpora, trainings, settings skipped."""
    return Section("provenance", "How it was made", grids=tuple(_provenance(result)))


def _provenance(result: Result) -> Iterable[Grid]:
    asked = {
        name: getattr(result, name)
        for name in ("key", "model", "n_parameters", "track", "adapt", "split", "schema", "protocol")
    }
    asked |= {"seeds": result.seeds, "limit": result.limit, "data fingerprint": result.data.fingerprint}
    yield Grid.facts("What was asked", {name: _plain_data(value) for name, value in asked.items()})
    yield Grid.facts("Where and when", _plain_data(result.provenance))
    names = (
        "clips used",
        "usable",
        "published",
        "complete",
        "synthetic",
        "ages known by",
        "left out",
        "speakers in several parts",
    )
    rows = [
        [Value(name), *map(Value, map(said, (
            one.n_utterances, one.n_found, one.n_published, one.complete, one.synthetic, one.age_source, one.left_out,
            one.speakers_shared,
        )))]
        for name, one in result.data.corpora.items()
    ]  # fmt: skip
    yield Grid("Corpora", [Value("corpus"), *map(Value, names)], rows, prose=True)
    fits = [[Value(said(value)) for value in dataclasses.astuple(fit)] for fit in result.fits]
    title = f"{len(fits)} trainings" if result.track != "zero-shot" else "Predictions"
    head = ["training set", "seed", "training clips", "validation clips", "test predictions", "facts"]
    if fits:
        yield Grid(title, list(map(Value, head)), fits, folded=True, prose=True)
    skipped = [[Value(said(value)) for value in dataclasses.astuple(one)] for one in result.skipped]
    if skipped:
        head = ["transfer", "method", "trained on", "tested on", "reason"]
        yield Grid(f"{len(skipped)} settings skipped", list(map(Value, head)), skipped, folded=True, prose=True)


def _plain_data(value: object) -> object:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def projections(result: Result, folder: Path) -> Iterable[Section]:
    """Pictures and coverage that `bimotion project` left in `projection*/`, in the run's folder or beside it for the same
    track, split and schema; no section where there are none. Raises RecordError."""
    asked = {"track": result.track} | {name: dataclasses.asdict(getattr(result, name)) for name in ("split", "schema")}
    pictures, grids = [], []
    for place in sorted([*folder.glob("projection*"), *folder.absolute().parent.glob("projection*")]):
        content = _coverage(place / "coverage.json")
        if place.parent != folder and any(content.get(name) != value for name, value in asked.items()):
            continue
        if (place / "projection.png").exists():
            panels = "; ".join(content["panels"]) if isinstance(content.get("panels"), dict) else ""
            shown = f"trained on {panels}, tested on {said(content.get('test'))}" if panels else place.name
            pictures.append(Picture(place / "projection.png", shown))
        grids += [
            Grid.records(f"{place.name}: {name}", rows, folded=True)
            for name, rows in content.items()
            if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
        ]
    if pictures or grids:
        yield Section("projections", "Feature space", pictures=tuple(pictures), grids=tuple(grids))


def _coverage(path: Path) -> dict:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: expected JSON of `bimotion project`, found: {error}; make it again or remove it") from None
    return content if isinstance(content, dict) else {}
