"""What only reading every clip can tell: its peak, and a hash of its samples. Kept in the cache a corpus at a time."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from bimotion import audio, files
from bimotion.errors import AudioError
from bimotion.manifest import Manifest
from bimotion.progress import Progress


def inspect(manifest: Manifest, corpus: str, progress: Progress) -> pd.DataFrame:
    """Columns `peak` in [0, 1] and `sha256` (null where decoding failed), `problem` (text or null); index: utterance id."""
    target = files.cache_dir() / "inspection" / f"{audio.version()}-{corpus}-{manifest.states[corpus]}.parquet"
    if not target.exists():
        from joblib import cpu_count

        rows = manifest.table[manifest.table["corpus"] == corpus]
        paths = [manifest.path(corpus, path) for path in rows["path"]]
        with ThreadPoolExecutor(cpu_count()) as pool:
            found = list(progress.track(pool.map(_content, paths), len(paths), f"listening to {corpus}"))
        table = pd.DataFrame(found, index=pd.Index(rows["id"], name="id"), columns=["peak", "sha256", "problem"])
        with files.written(target) as temporary:
            table.to_parquet(temporary)
    return pd.read_parquet(target)


def _content(path) -> tuple[float | None, str | None, str | None]:
    try:
        content = audio.content(path)
    except AudioError as error:
        return None, None, str(error)
    return content.peak, content.sha256, None
