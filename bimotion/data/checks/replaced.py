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
    """Read every file of a corpus, and compare its SHA-256 with what blocks of features and
    samples, and an earlier doctor or audit, remember of the file that they saw under this size and
    time.

    Returns:
        Findings `replaced`.
    """
    from joblib import cpu_count

    digests = cache.sources(corpus, manifest.states[corpus])
    heard = inspection.inspected(manifest, corpus)
    for clip, file in () if heard is None else heard["file"].dropna().items():
        digests.setdefault(clip, set()).add(file)
    clips = manifest.table[manifest.table["corpus"] == corpus]
    rows = clips[clips["id"].isin(digests.keys())]
    paths = [manifest.path(corpus, path) for path in rows["path"]]
    with ThreadPoolExecutor(cpu_count()) as pool:
        work = pool.map(files.digest, paths)
        now = list(progress.track(work, len(paths), f"comparing {corpus}"))
    progress.say(
        f"{corpus}: {len(rows)} of {len(clips)} clips compared with what was read of them before"
    )
    return [
        Finding("replaced", corpus, clip, path)
        for clip, path, file in zip(rows["id"], rows["path"], now, strict=True)
        if digests[clip] != {file}
    ]
