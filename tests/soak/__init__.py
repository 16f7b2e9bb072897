"""The soak: everything at once for as long as asked, and an oracle over all that was dropped.

    python -m tests.soak        MINUTES, SEED and KEEP come from the environment

people drop files -> the service and its database are restarted under it -> refresh and export
every few seconds -> at the end the oracle reads every file ever dropped, in plain Python, and the
warehouse, the ledger, the exports, the archive and the quarantine have to be what it says.
"""
