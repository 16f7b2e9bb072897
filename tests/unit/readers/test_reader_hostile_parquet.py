"""Parquet made to harm: it is refused or read, by a program that may break down in its stead."""

from __future__ import annotations

import io
import random
import textwrap
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.domain import Batch
from app.errors import FileError, RetryableError
from app.readers import Limits, decoding, open_reader
from app.readers.panics import panics_as_errors

MIB = 1 << 20


def write(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def read(content: bytes, limits: Limits) -> list[Batch]:
    reader = open_reader(io.BytesIO(content), "x.parquet", limits=limits)
    return list(reader.batches([f"c{k}" for k in range(len(reader.header))]))


def refusal(content: bytes, limits: Limits) -> FileError:
    with pytest.raises(FileError) as caught:
        read(content, limits)
    return caught.value


def of_one_long_text(row_count: int) -> bytes:
    """Says so in few bytes: the text stands once, and then how often it is meant."""
    text = pa.array(["a" * MIB])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * row_count, pa.int32()), text)
    return write(pa.table({"a": column}), compression="zstd", store_schema=False)


def of_nulls(row_count: int) -> bytes:
    return write(pa.table({"a": pa.nulls(row_count, pa.int64())}), row_group_size=row_count)


@pytest.mark.parametrize(
    ("content", "limits", "found", "setting"),
    [
        (
            lambda: of_one_long_text(100_000),
            Limits(parquet_bytes=128 * MIB),
            "Parquet that needs more than 128 MiB to be decoded",
            "MAX_PARQUET_MEMORY_BYTES",
        ),
        (
            lambda: write(pa.table({"a": ["x" * (80 * MIB)]}), use_dictionary=False),
            Limits(parquet_bytes=64 * MIB),
            "Parquet that needs more than 64 MiB to be decoded",
            "MAX_PARQUET_MEMORY_BYTES",
        ),
        (
            lambda: of_nulls(5_000_000),
            Limits(),
            "more than 64 MiB in a compressed file",
            "MAX_COMPRESSION_RATIO",
        ),
        (
            lambda: of_nulls(500_000),
            Limits(uncompressed_bytes=5 * MIB),
            "more than 5 MiB in a compressed file",
            "MAX_UNCOMPRESSED_BYTES",
        ),
        (
            lambda: write(pa.table({f"c{k}": [1] for k in range(301)})),
            Limits(columns=300),
            "a header of 301 columns",
            "at most 300 (MAX_COLUMNS)",
        ),
    ],
    ids=["one text many times", "one long text", "endless nulls", "too much", "too wide"],
)
def test_a_bomb_is_refused(
    content: Callable[[], bytes], limits: Limits, found: str, setting: str
) -> None:
    error = refusal(content(), limits)

    assert error.found.startswith(found)
    assert setting in error.expected
    assert error.remedy


def test_a_row_whose_text_is_too_long_costs_itself_only() -> None:
    values = ["a", "b" * 30_000, None, "c"]
    (batch,) = read(write(pa.table({"a": values, "b": [1, 2, 3, 4]})), Limits(line_bytes=20_000))

    assert batch.frame.rows() == [(1, 1, "a", "1"), (3, 3, None, "3"), (4, 4, "c", "4")]
    [reject] = batch.rejects
    assert (reject.line_number, reject.reason) == (2, "a row of more than 20,000 bytes")
    assert reject.raw.startswith("bbb")
    assert len(reject.raw) <= 10_000


INT64 = 2**63 - 1


@pytest.mark.parametrize(
    ("kind", "stored", "text", "beyond"),
    [
        (pa.timestamp("ms"), 86_400_000, "1970-01-02 00:00:00", INT64),
        (pa.timestamp("us", "Mars/Phobos"), 1, "1970-01-01 00:00:00.000001", INT64),
        (pa.timestamp("ns"), INT64, "2262-04-11 23:47:16.854775", None),
        (pa.date32(), 2_932_896, "9999-12-31", 2_932_897),
        (pa.date32(), -719_162, "0001-01-01", -719_163),
    ],
)
def test_an_instant_that_no_calendar_has_costs_its_own_row(
    kind: pa.DataType, stored: int, text: str, beyond: int | None
) -> None:
    width = pa.int32() if kind == pa.date32() else pa.int64()
    (batch,) = read(write(pa.table({"a": pa.array([beyond, stored], width).view(kind)})), Limits())

    expected = [] if beyond else [(1, 1, None)]
    assert batch.frame.rows() == [*expected, (2, 2, text)]
    reasons = [(reject.line_number, reject.reason) for reject in batch.rejects]
    assert reasons == ([(1, f"'a' holds {beyond}, which is no day")] if beyond else [])


def test_types_that_polars_has_not_become_text_too() -> None:
    table = pa.table(
        {
            "small": pa.array([Decimal("1.50")], pa.decimal32(9, 2)),
            "middle": pa.array([Decimal("1.50")], pa.decimal64(12, 2)),
            "huge": pa.array([Decimal("1" * 70)], pa.decimal256(76, 2)),
            "half": pa.array([1.5], pa.float32()).cast(pa.float16()),
            "view": pa.array(["x"], pa.string_view()),
        }
    )
    (batch,) = read(write(table), Limits())
    assert batch.frame.rows() == [(1, 1, "1.50", "1.50", "1" * 70 + ".00", "1.5", "x")]


def test_a_name_that_is_not_text_is_refused() -> None:
    content = write(pa.table({"name": [1]}), store_schema=False)
    assert "sound" in refusal(content.replace(b"name", b"n\xff\xfee"), Limits()).found


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_footer_claims_the_file_is_read_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    table = pa.table({"a": [str(k % 7) for k in range(400)], "b": range(400)})
    content = bytearray(write(table, compression=rng.choice(["none", "snappy"])))
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(rng.choice([1, 2, 4])):
        content[rng.randrange(footer, len(content) - 4)] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
    try:
        batches = read(bytes(content), Limits())
    except FileError:
        return
    numbers = [number for batch in batches for number in batch.frame["row_number"]]
    numbers += [reject.line_number for batch in batches for reject in batch.rejects]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("ending", "error", "words"),
    [
        ("os.abort()", FileError, "sound Parquet"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", FileError, "sound Parquet"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", FileError, "without any rows"),
        ("os.kill(os.getpid(), signal.SIGKILL)", RetryableError, "SIGKILL"),
        ("sys.exit(50 + 5)", OSError, "Input/output error"),
        ("sys.exit(1)", RuntimeError, "ended with 1"),
    ],
)
def test_how_the_decoder_ended_says_whose_fault_it_is(
    ending: str,
    error: type[Exception],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = io.BytesIO(write(pa.table({"a": [1]})))
    reader = open_reader(content, "x.parquet")
    program = tmp_path / "decoder.py"
    program.write_text(f"import os, signal, sys\n{ending}\n")
    monkeypatch.setattr(decoding, "PROGRAM", program)

    with pytest.raises(error, match=words):
        list(reader.batches(["a"]))


def test_rows_that_break_off_are_never_taken_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO(write(pa.table({"a": [1]})))
    reader = open_reader(content, "x.parquet")
    program = tmp_path / "decoder.py"
    program.write_text(
        textwrap.dedent(
            """
            import io, sys
            import pyarrow as pa
            sink = io.BytesIO()
            batch = pa.record_batch([pa.array([1]), pa.array([None], pa.string())], ["0", "r"])
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                for _ in range(3):
                    stream.write_batch(batch, {"position": "1"})
            sys.stdout.buffer.write(sink.getvalue()[: len(sink.getvalue()) * 2 // 3])
            """
        )
    )
    monkeypatch.setattr(decoding, "PROGRAM", program)

    with pytest.raises((pa.ArrowInvalid, OSError)):
        list(reader.batches(["a"]))


def test_a_panic_of_polars_is_an_error_like_others() -> None:
    """Python's own `except Exception` lets a panic through, all the way to the service's end."""
    beyond = pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)
    with pytest.raises(RuntimeError, match="panicked"), panics_as_errors():
        beyond.cast(pl.String)
    with panics_as_errors():
        assert pl.Series([date(2023, 1, 5)]).cast(pl.String).to_list() == ["2023-01-05"]


def test_instants_beside_their_text_are_those_of_the_file() -> None:
    at = datetime(2023, 1, 5, 4, 5, 6)  # noqa: DTZ001
    table = pa.table({"a": pa.array([at, None], pa.timestamp("s"))})
    (batch,) = read(write(table), Limits())
    assert batch.frame["c0"].to_list() == ["2023-01-05 04:05:06", None]
