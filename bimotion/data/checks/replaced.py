"""Clips whose file is no longer the one that something in the cache was made from, though its size
and time are the same."""

from concurrent.futures import ThreadPoolExecutor

from bimotion.corpora.utterance import Finding
from bimotion.data import cache
from bimotion.data.checks import inspection
from bimotion.data.manifest import Manifest
from bimotion.io import files
from bimotion.io.progress import Progress


def replaced(manifest: Manifest, corpus: str, progress: Progress) -> list[Finding]:
    """Findings `replaced`: every file of a corpus is read, and its SHA-256 compared with what
    blocks of features and samples, and an earlier doctor or audit, remember of the file that they
    saw under this size and time."""
    from joblib import cpu_count

    known = cache.sources(corpus, manifest.states[corpus])
    heard = inspection.inspected(manifest, corpus)
    for clip, file in () if heard is None else heard["file"].dropna().items():
        known.setdefault(clip, set()).add(file)
    rows = manifest.table[manifest.table["corpus"] == corpus]
    rows = rows[rows["id"].isin(known.keys())]
    paths = [manifest.path(corpus, path) for path in rows["path"]]
    with ThreadPoolExecutor(cpu_count()) as pool:
        found = list(
            progress.track(pool.map(files.digest, paths), len(paths), f"comparing {corpus}")
        )
    n_clips = len(manifest.table[manifest.table["corpus"] == corpus])
    progress.say(
        f"{corpus}: {len(rows)} of {n_clips} clips compared with what was read of them before"
    )
    names = zip(rows["id"], rows["path"], found, strict=True)
    return [
        Finding("replaced", corpus, clip, path)
        for clip, path, file in names
        if known[clip] != {file}
    ]
