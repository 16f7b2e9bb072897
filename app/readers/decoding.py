"""Starts the program that decodes a Parquet file, and says how it ended.

Why a program of its own: docs/decisions/hostile-content.md.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

import pyarrow as pa

from app.errors import FileError, RetryableError
from app.readers import parquet_decoder as decoder
from app.readers.limits import Limits, shown_bytes

PROGRAM = Path(__file__).with_name("parquet_decoder.py")
# What a decoder does to itself; any other signal comes from outside.
BREAKDOWNS = {
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
    signal.SIGSYS,
    signal.SIGTRAP,
}


def read_header(source: BinaryIO, limits: Limits) -> dict[str, Any]:
    """Gives what the decoder says of the columns, as its own words describe.

    Raises FileError where it comes to grief, and RetryableError where it was ended from outside.
    """
    with started(source, "header", limits) as process:
        printed = given_by(process).read()
        require_good_end(process, limits)
    header: dict[str, Any] = json.loads(printed)
    return header


def read_rows(source: BinaryIO, limits: Limits) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Gives batches, and how far into the file reading has come; raises as `read_header`."""
    with started(source, "rows", limits) as process:
        try:
            stream = pa.ipc.open_stream(given_by(process))
            while (batch := next_batch(stream)) is not None:
                yield batch
        except (pa.ArrowInvalid, OSError):
            require_good_end(process, limits)
            raise  # the decoder thinks that it gave all
        require_good_end(process, limits)


def next_batch(stream: pa.RecordBatchStreamReader) -> tuple[pa.RecordBatch, int] | None:
    try:
        batch, notes = stream.read_next_batch_with_custom_metadata()
    except StopIteration:
        return None
    return batch, int(notes["position"])


def given_by(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise RuntimeError("the decoder was started without a pipe")
    return process.stdout


@contextmanager
def started(source: BinaryIO, wanted: str, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    """Gives the decoder at work; afterwards it is not there any more."""
    numbers = (limits.parquet_bytes, limits.columns, limits.line_bytes)
    with (
        as_file(source) as file,
        subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-I", PROGRAM, str(file.fileno()), wanted, *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[file.fileno()],
            # Ctrl-C at a terminal is for the command, not for its decoder.
            start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def as_file(source: BinaryIO) -> Iterator[IO[bytes]]:
    """Gives a file that another process can read: source itself, or else a copy."""
    try:
        source.fileno()
    except UnsupportedOperation:
        with TemporaryFile() as copy:
            source.seek(0)
            shutil.copyfileobj(source, copy)
            copy.flush()
            yield copy
    else:
        yield source


def require_good_end(process: subprocess.Popen[bytes], limits: Limits) -> None:
    """Raises what the decoder's end means; nothing where it did its work."""
    ended = process.wait()
    if ended == 0:
        return
    if ended > decoder.DISK_ERRORS:
        number = ended - decoder.DISK_ERRORS
        raise OSError(number, os.strerror(number))
    if ended == decoder.TOO_LARGE:
        raise FileError(
            found=f"Parquet that needs more than {shown_bytes(limits.parquet_bytes)} to be decoded",
            expected="less (MAX_PARQUET_MEMORY_BYTES)",
            remedy="export it with smaller row groups and pages, or as CSV; or raise the limit",
        )
    if ended == -signal.SIGXCPU:
        raise FileError(
            found=f"Parquet that is decoded for {decoder.FIRST_SECONDS} seconds without any rows",
            expected="rows to come out steadily",
            remedy="ask where the file comes from; export it again, or as CSV",
        )
    if ended == decoder.UNSOUND or -ended in BREAKDOWNS:
        raise FileError(
            found="content that is not a whole, sound Parquet file",
            expected="a Parquet file, as the file's name says",
            remedy="copy or export the file again, or correct the ending of its name",
        )
    if ended < 0:
        name = signal.Signals(-ended).name
        raise RetryableError(f"The decoder of a Parquet file was ended from outside ({name})")
    raise RuntimeError(f"the decoder of Parquet files ended with {ended}")
