"""predictions.parquet of a run and of a submission: the one shape that is written, and a reader for
files from strangers.

The reader believes nothing: sizes, types and counts are checked in the file's footer before any
data are read. A footer can lie about what its pages unpack to, so `inspect` first reads a
stranger's file in another process, with bounded memory and time; what kills that process is
refused, and only what it could read is read here.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bimotion.errors import RecordError
from bimotion.io import sandbox

if TYPE_CHECKING:
    import pandas

SHAPE = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "cell", "corpus", "speaker", "train")),
        ("seed", pa.int64()),
        ("fold", pa.int8()),
        ("probabilities", pa.list_(pa.field("element", pa.float32()))),
        ("reference", pa.list_(pa.field("element", pa.int8()))),
        ("trained", pa.list_(pa.field("element", pa.string()))),
    ]
)
"""Columns of scoring.py, in this order; only `speaker` may be null."""
OLD_SHAPE = SHAPE.remove(SHAPE.get_field_index("fold"))
"""Those of numbers version 1, without folds."""
LABELS = "reference"
WITHOUT_LABELS = SHAPE.remove(SHAPE.get_field_index(LABELS))
"""Those of a submission without labels: whoever has the answer key fills them in."""
MAX_BYTES = 512 * 1024 * 1024
MAX_FOOTER_BYTES = 16 * 1024 * 1024
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
MAX_ROWS = 2_000_000
"""A seed of the whole protocol has about 150 000."""
MAX_ROW_GROUPS = 1000
MAX_CLASSES = 64
MAX_TEXT_BYTES = 256
LIMITS = sandbox.Limits(memory_bytes=3 * 1024**3, cpu_s=60)
_MAGIC = b"PAR1"


def save(rows: "pandas.DataFrame", target: Path | BinaryIO) -> None:
    """Write predictions in SHAPE: what `evaluate` leaves and what is submitted have the same
    columns in the same types."""
    _save(pa.Table.from_pandas(rows, SHAPE, preserve_index=False), target)


def write(source: Path, target: BinaryIO, *, labels: bool = True) -> None:
    """Predictions of a run written anew as `save` writes them: its columns and rows, and nothing
    else. Raises RecordError.

    Args:
        source: the user's own file: text may be of any kind of text, and a column without any value
            of type null.
        target: what is written to.
        labels: with the labels of the clips; else in WITHOUT_LABELS.
    """
    shape = SHAPE if labels else WITHOUT_LABELS
    try:
        table = with_fold(pq.read_table(source))
        table = table.select(shape.names).cast(shape)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RecordError(f"{source}: expected predictions in Parquet, found: {error}") from None
    _save(table, target)


def with_fold(table: pa.Table) -> pa.Table:
    """The same predictions; those of numbers version 1, which have no folds, are all of fold 0."""
    if "fold" in table.column_names:
        return table
    zeros = pa.array(np.zeros(table.num_rows, np.int8))
    return table.add_column(SHAPE.get_field_index("fold"), SHAPE.field("fold"), zeros)


def has_labels(table: pa.Table) -> bool:
    """Return whether predictions hold the labels of their clips."""
    return LABELS in table.column_names


def _save(table: pa.Table, target: Path | BinaryIO) -> None:
    pq.write_table(table.replace_schema_metadata(None), target, compression="zstd")


def read(path: Path, max_rows: int = MAX_ROWS) -> pa.Table:
    """Predictions of a file in SHAPE, or WITHOUT_LABELS: no nulls but in `speaker`, short valid
    texts, no list beyond MAX_CLASSES.

    Raises RecordError. Memory is bounded for files that do not lie: `inspect` strangers' files
    first.

    Args:
        path: of the file.
        max_rows: that are read; with more it is refused unread.
    """
    with path.open("rb") as file:
        _check_ends(file)
        try:
            opened = pq.ParquetFile(file, memory_map=False, pre_buffer=False)
            _check_footer(opened, max_rows)
            table = opened.read(use_threads=False).replace_schema_metadata(None)
            table.validate(full=True)  # invalid UTF-8, offsets that run backwards
        except MemoryError:  # Arrow's own is one of its exceptions too
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RecordError(f"cannot be read as Parquet: {error}") from None
    table = with_fold(table)
    for name in table.column_names:
        _check_column(name, table[name])
    return table


def _require(is_right: bool, expected: str, actual: object) -> None:
    if not is_right:
        raise RecordError(f"expected {expected}, found {actual}")


def _check_ends(file: BinaryIO) -> None:
    n_bytes = file.seek(0, os.SEEK_END)
    _require(n_bytes <= MAX_BYTES, f"at most {MAX_BYTES} bytes", n_bytes)
    _require(n_bytes >= 12, "Parquet", f"{n_bytes} bytes")
    file.seek(0)
    first = file.read(4)
    file.seek(-8, os.SEEK_END)
    length, last = int.from_bytes(file.read(4), "little"), file.read(4)
    file.seek(0)
    ends = f"a file that begins with {first!r} and ends with {last!r}"
    _require(first == last == _MAGIC, "Parquet", ends)
    largest = min(MAX_FOOTER_BYTES, n_bytes - 12)
    _require(length <= largest, f"a footer of at most {largest} bytes", length)


def _check_footer(opened: pq.ParquetFile, max_rows: int) -> None:
    """Raise RecordError for other columns, and for more rows, groups or unpacked bytes than any run
    has."""
    facts, columns = opened.metadata, opened.schema_arrow.remove_metadata()
    shapes = (SHAPE, OLD_SHAPE, WITHOUT_LABELS)
    if not any(columns.equals(shape, check_metadata=False) for shape in shapes):
        wrong = sorted(set(columns.names) ^ set(SHAPE.names)) or [
            f"{name}: {columns.field(name).type}"
            for name in columns.names
            if columns.field(name).type != SHAPE.field(name).type
        ]
        raise RecordError(
            f"expected the columns {', '.join(SHAPE.names)} in their types; other: "
            f"{', '.join(wrong) or 'order'}"
        )
    n_rows, n_groups = facts.num_rows, facts.num_row_groups
    _require(1 <= n_rows <= max_rows, f"1 to {max_rows} rows", n_rows)
    _require(1 <= n_groups <= MAX_ROW_GROUPS, f"1 to {MAX_ROW_GROUPS} row groups", n_groups)
    groups = [facts.row_group(number) for number in range(n_groups)]
    n_in_groups = sum(group.num_rows for group in groups)
    _require(n_in_groups == n_rows, f"{n_rows} rows in all row groups", n_in_groups)
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    elsewhere = "".join(chunk.file_path for chunk in chunks)
    _require(not elsewhere, "all data in this file", f"a path to another: {elsewhere!r:.80}")
    sizes = [chunk.total_uncompressed_size for chunk in chunks]
    unpacked = max(sum(sizes), -min(sizes))
    _require(
        min(sizes) >= 0 and unpacked <= MAX_UNPACKED_BYTES,
        f"at most {MAX_UNPACKED_BYTES} bytes unpacked",
        unpacked,
    )
    n_values = max(chunk.num_values for chunk in chunks)
    _require(
        n_values <= n_rows * MAX_CLASSES,
        f"at most {MAX_CLASSES} values a row",
        f"{n_values} in {n_rows} rows",
    )


def _longest(lengths: pa.ChunkedArray) -> int:
    return pc.max(lengths).as_py() or 0


def _check_column(name: str, column: pa.ChunkedArray) -> None:
    where = f"column {name}: "
    if pa.types.is_list(column.type):
        if column.null_count or _longest(pc.list_value_length(column)) > MAX_CLASSES:
            raise RecordError(
                f"{where}expected lists of at most {MAX_CLASSES}, found a null or a longer one"
            )
        column = pc.list_flatten(column)
    if column.null_count and name != "speaker":
        raise RecordError(f"{where}expected a value in every row, found {column.null_count} nulls")
    if pa.types.is_string(column.type) and _longest(pc.binary_length(column)) > MAX_TEXT_BYTES:
        raise RecordError(
            f"{where}expected texts of at most {MAX_TEXT_BYTES} bytes, found a longer one"
        )


def inspect(n_rows: Mapping[Path, int]) -> dict[Path, str]:
    """The files that cannot be read, and why: each is read in a process of LIMITS of its own (see
    sandbox), for a file that takes over its reader could speak for others.

    Args:
        n_rows: file -> the rows that its record says it has (Result.n_predictions): a small file
            can hold millions, so one with more than twice as many is refused unread.

    Example::

        path = folder / "predictions.parquet"
        refused = predictions.inspect({path: result.n_predictions})
        table = None if path in refused else predictions.read(path)
    """
    if not n_rows:
        return {}
    with inspector() as inspected:
        return inspected(n_rows)


@contextmanager
def inspector() -> Iterator[Callable[[Mapping[Path, int]], dict[Path, str]]]:
    """`inspect`, to be called once at most, whose interpreter starts now."""
    with sandbox.ready("bimotion.results.predictions:check") as called:

        def inspected(n_rows: Mapping[Path, int]) -> dict[Path, str]:
            # a few too many are read, so that whoever compares them can name the clips
            arguments = [
                (os.fspath(path.absolute()), min(MAX_ROWS, max(1, 2 * n)))
                for path, n in n_rows.items()
            ]
            ends = zip(n_rows, called(arguments, LIMITS), strict=True)
            return {path: ended.problem for path, ended in ends if ended.problem}

        yield inspected


def check(argument: tuple[str, int]) -> None:
    """Read predictions, of so many rows at most, and forget them; raises what a reader may raise.
    Called in a process of its own."""
    path, max_rows = argument
    read(Path(path), max_rows)
