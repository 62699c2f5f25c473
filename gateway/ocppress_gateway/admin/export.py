"""The account of bytes as a table, one line a row: as CSV (RFC 4180), and as Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from ocppress_gateway.admin.model import LedgerRow

__all__ = ["CSV_TYPE", "PARQUET_TYPE", "csv_lines", "has_parquet", "parquet_bytes"]

CSV_TYPE: Final = "text/csv"
PARQUET_TYPE: Final = "application/vnd.apache.parquet"

_COLUMNS: Final = LedgerRow.__struct_fields__


def csv_lines(rows: Iterable[LedgerRow]) -> Iterator[str]:
    """A line each, the heads first. A name that a spreadsheet would take for a formula stands behind an apostrophe."""
    line = io.StringIO()
    writer = csv.writer(line)
    for row in ((*_COLUMNS,), *(msgspec.structs.astuple(row) for row in rows)):
        line.seek(0)
        line.truncate()
        writer.writerow([f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell for cell in row])
        yield line.getvalue()


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def parquet_bytes(rows: Iterable[LedgerRow]) -> bytes:
    """A file of one row group or more; `has_parquet` must be so."""
    import pyarrow
    import pyarrow.parquet

    kinds = {"day": pyarrow.date32(), "bytes": pyarrow.int64()}
    schema = pyarrow.schema([(column, kinds.get(column, pyarrow.string())) for column in _COLUMNS])
    table = pyarrow.Table.from_pylist([msgspec.structs.asdict(row) for row in rows], schema=schema)
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()
