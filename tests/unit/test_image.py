"""What the containers' image is made of, as far as it can be told without building it."""

from __future__ import annotations

from pathlib import Path

from app.samples import SAMPLES_FOLDER

PROJECT = Path(__file__).parents[2]


def test_the_samples_are_sent_to_the_builder_and_copied_into_the_image() -> None:
    folder = str(SAMPLES_FOLDER.relative_to(PROJECT))

    assert f"!{folder}" in (PROJECT / ".dockerignore").read_text().splitlines()
    assert f"COPY {folder} {folder}" in (PROJECT / "Dockerfile").read_text().splitlines()


def test_the_script_of_a_whole_year_is_in_the_image() -> None:
    name = "insert_all_data.sh"

    assert f"!{name}" in (PROJECT / ".dockerignore").read_text().splitlines()
    assert f"COPY {name} ./" in (PROJECT / "Dockerfile").read_text().splitlines()
    assert (PROJECT / name).stat().st_mode & 0o111 == 0o111
