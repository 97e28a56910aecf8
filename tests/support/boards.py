"""Boards of a few submissions, and changes of one."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq

from bimotion.leaderboard import board
from bimotion.results import record as results


def only(root, **options):
    """The one entry of a folder, or the one reason why there is none."""
    built = board.build(root, **options)
    assert len(built.entries) + len(built.excluded) == 1
    return (built.entries or [excluded.reason for excluded in built.excluded])[0]


def rewrite(folder, **changes):
    """The result in a folder with fields changed, under the key that follows."""
    result = dataclasses.replace(results.load(folder / "result.json"), **changes)
    dataclasses.replace(result, key=result.spec.key).save(folder)


def rewrite_table(run, change):
    table = pq.read_table(run / "predictions.parquet")
    changed = pa.Table.from_pandas(change(table.to_pandas()), table.schema, preserve_index=False)
    pq.write_table(changed.replace_schema_metadata(None), run / "predictions.parquet")


def linked(path):
    path.symlink_to(path.rename(path.parents[3] / path.name))
