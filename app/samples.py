"""Sample files of every feed, to see Sluice at work."""

from __future__ import annotations

import shutil
from pathlib import Path

from app.errors import ConfigError

SAMPLES_FOLDER = Path(__file__).parents[1] / "samples"


def drop_samples(imports_dir: Path) -> list[Path]:
    """Copies the sample files into the folder, each complete the moment it has its name.

    Raises ConfigError when they cannot be read there or written here.
    """
    try:
        imports_dir.mkdir(parents=True, exist_ok=True)
        return [drop_sample(sample, imports_dir) for sample in sorted(SAMPLES_FOLDER.iterdir())]
    except OSError as error:
        raise ConfigError(
            f"The samples cannot be copied into {imports_dir}: {error.filename or imports_dir}:"
            f" {error.strerror}. Give the user who runs this command write access to it, or set"
            " IMPORTS_DIR to another one."
        ) from error


def drop_sample(sample: Path, imports_dir: Path) -> Path:
    """Copies one file under a name that is never loaded, then gives it its own."""
    target = imports_dir / sample.name
    unfinished = imports_dir / f".{sample.name}.part"
    shutil.copyfile(sample, unfinished)
    return unfinished.rename(target)
