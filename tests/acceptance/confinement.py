"""Commands that run a daemon with fewer rights, fewer watches or a smaller disk than the test has.

What they take away is taken from that process alone: the tests beside it go on undisturbed.
"""

from __future__ import annotations

import os
import subprocess

Before = tuple[str, ...]

# A file's permissions do not count for root, unless it gives these up; it stays the files' owner.
OVERRIDING = "-dac_override,-dac_read_search,-fowner"
BOUND_BY_PERMISSIONS: Before = (
    ("setpriv", f"--bounding-set={OVERRIDING}", f"--inh-caps={OVERRIDING}")
    if os.geteuid() == 0
    else ()
)


def in_namespaces(*options: str, first: str) -> Before:
    """Runs `first`, a shell command, and then the daemon, in namespaces of their own."""
    return ("unshare", *options, "sh", "-ec", f'{first}\nexec "$@"', "sh")


def is_possible(before: Before) -> bool:
    """Whether this machine lets a command run that way."""
    tried = subprocess.run([*before, "true"], capture_output=True, check=False)
    return tried.returncode == 0
