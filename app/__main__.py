"""Lets `python -m app COMMAND` run the command line."""

from app.cli import main

main()
