"""Lets `python -m app COMMAND` run the command line."""

import gc

# Imports make many objects and no rubbish; it is collected again once the command is imported.
gc.disable()

from app.cli import main  # noqa: E402

main()
