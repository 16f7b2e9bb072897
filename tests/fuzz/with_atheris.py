"""Lets libFuzzer look for files that take new ways through readers and router, for some minutes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(".hypothesis") / "fuzz"
CORPUS = FOLDER / "corpus"
MOST_BYTES, MOST_MB = 6_000, 3_000


class Findings:
    """Goes on after a finding, as one defect hides others."""

    def __init__(self, try_file: Any, names: list[str], block_bytes: tuple[int, ...]) -> None:
        self._try_file = try_file
        self._names = names
        self._block_bytes = block_bytes

    def try_one(self, drawn: bytes) -> None:
        """The first two bytes choose the name and the size of blocks."""
        if len(drawn) < 2:
            return
        name = self._names[drawn[0] % len(self._names)]
        block_bytes = self._block_bytes[drawn[1] % len(self._block_bytes)]
        try:
            self._try_file(drawn[2:], name, block_bytes)
        except Exception as error:
            sys.stdout.write(f"{name}: {type(error).__name__}: {str(error)[:200]}\n")


def write_corpus(feeds: Any, endings: list[str], compressed: Any) -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    for position, (_, header, row) in enumerate(feeds):
        names, values = header.split(","), row.split(",")
        pairs = [f'"{name}":"{value}"' for name, value in zip(names, values, strict=True)]
        for place, ending in enumerate(endings):
            text = "{" + ",".join(pairs) + "}\n" if ending == ".jsonl" else f"{header}\n{row}\n"
            choice = bytes([position * len(endings) + place, 3])
            content = compressed(text.encode(), ending)
            (CORPUS / f"sound_{position}_{place}").write_bytes(choice + content)


def main(minutes: float) -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["app"]):
        accounts = importlib.import_module("tests.fuzz.accounts")
    findings = importlib.import_module("tests.fuzz.findings")
    drawing = importlib.import_module("tests.fuzz.hostile_files")
    endings = [ending for ending in drawing.ENDINGS if ending != ".parquet"]
    names = [stem + ending for stem, *_ in drawing.FEEDS for ending in endings]
    write_corpus(drawing.FEEDS, endings, drawing.compressed)
    found = Findings(findings.try_file, names, accounts.BLOCK_BYTES)
    options = (f"-max_total_time={60 * minutes:.0f}", f"-max_len={MOST_BYTES}")
    limits = (f"-rss_limit_mb={MOST_MB}", "-timeout=120", f"-artifact_prefix={FOLDER}/")
    atheris.Setup([sys.argv[0], *options, *limits, str(CORPUS)], found.try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(float(sys.argv[1]))
