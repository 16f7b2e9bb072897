"""Sample files of every feed, to see Sluice at work."""

from __future__ import annotations

import shutil
from pathlib import Path

SAMPLES_FOLDER = Path(__file__).parents[1] / "samples"


def drop_samples(imports_dir: Path) -> list[Path]:
    """Copies the sample files into the folder, each complete the moment it has its name."""
    imports_dir.mkdir(parents=True, exist_ok=True)
    dropped = []
    for sample in sorted(SAMPLES_FOLDER.iterdir()):
        target = imports_dir / sample.name
        unfinished = imports_dir / f".{sample.name}.part"
        shutil.copyfile(sample, unfinished)
        unfinished.rename(target)
        dropped.append(target)
    return dropped
