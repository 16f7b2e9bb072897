"""Who the embedded PostgreSQL runs as: PostgreSQL refuses root, so root lends it an account."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from app.errors import ConfigError

ACCOUNT_NAME = "sluice-postgres"
WAY_OUT = "run Sluice as a normal user, or set DATABASE_URL to a server of your own"

# Layout of Linux's POSIX access lists (linux/posix_acl_xattr.h): a version, then
# (tag, permissions, id) in the order of their tags.
ACL_ATTRIBUTE = "system.posix_acl_access"
ACL_VERSION = struct.pack("<I", 2)
ACL_ENTRY = struct.Struct("<HHI")
OWNER, NAMED_USER, OWNING_GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF
SEARCH = 1


class RunsAs(TypedDict, total=False):
    """The arguments of `subprocess.run` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the server's programs run as; `is_own` when it is the one we run as."""

    uid: int
    gid: int
    is_own: bool

    @property
    def runs_as(self) -> RunsAs:
        if self.is_own:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Makes the file or folder the account's."""
        if not self.is_own:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def choose_account(data: Path) -> Account:
    """Gives the data folder's owner, which alone may run the server; for root's first start an
    account made for the purpose.

    Raises ConfigError when the folder belongs to someone we cannot run as.
    """
    uid = os.geteuid()
    owner = data.stat() if data.exists() else None
    if uid != 0:
        if owner and owner.st_uid != uid:
            raise ConfigError(
                f"The database in {data} belongs to {user_name(owner.st_uid)}, and this is"
                f" {user_name(uid)}. Run as {user_name(owner.st_uid)} or root, or name another"
                " folder in EMBEDDED_DIR."
            )
        return Account(uid, os.getegid(), is_own=True)
    if owner is None:
        entry = find_or_make_account()
        return Account(entry.pw_uid, entry.pw_gid, is_own=False)
    if owner.st_uid == 0:
        raise ConfigError(
            f"The database in {data} belongs to root, and PostgreSQL refuses to run as root."
            f" Run: chown -R {find_or_make_account().pw_name} {data}"
        )
    return Account(owner.st_uid, owner.st_gid, is_own=False)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def find_or_make_account() -> pwd.struct_passwd:
    """Gives the account that serves root; makes it where it is missing.

    Not `nobody` or `postgres`: other programs that run as those could read the database.
    """
    try:
        return pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    why = "there is no useradd"
    if program:
        options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        made = subprocess.run(  # noqa: S603 - our own words
            [program, *options, ACCOUNT_NAME],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        why = made.stderr.strip()
    try:
        return pwd.getpwnam(ACCOUNT_NAME)  # also when another command was quicker
    except KeyError as error:
        raise ConfigError(
            f"PostgreSQL refuses to run as root, and its account {ACCOUNT_NAME} cannot be made:"
            f" {why}. Make it (useradd --system {ACCOUNT_NAME}), {WAY_OUT}."
        ) from error


def open_way(account: Account, folder: Path) -> None:
    """Lets the account, and nobody else, pass through the folders above to this one.

    A closed folder on the way (a home directory, say) gets an access list entry that allows the
    account to pass, not to list or read. Raises ConfigError where that cannot be done.
    """
    if account.is_own:
        return
    for step in reversed([folder, *folder.parents]):
        if not is_open(step, account):
            try:
                allow_search(step, account.uid)
            except OSError as error:
                raise ConfigError(
                    f"PostgreSQL refuses to run as root, and {user_name(account.uid)}, which it"
                    f" runs as, may not pass through {step} ({error.strerror})."
                    f" Run: chmod o+x {step}, or {WAY_OUT}."
                ) from error


def is_open(folder: Path, account: Account) -> bool:
    """Whether the folder's mode lets the account pass, as its owner or as one of the others."""
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & stat.S_IXOTH)


def allow_search(folder: Path, uid: int) -> None:
    """Adds search permission for one user to the folder's access list; the rest stays as it is."""
    entries = read_access_list(folder)
    entries[NAMED_USER, uid] = entries.get((NAMED_USER, uid), 0) | SEARCH
    mask = entries.get((MASK, NO_ID), entries[OWNING_GROUP, NO_ID])
    entries[MASK, NO_ID] = mask | SEARCH
    write_access_list(folder, entries)


def read_access_list(folder: Path) -> dict[tuple[int, int], int]:
    """Gives permissions by (tag, id); a folder without a list gives what its mode says."""
    if ACL_ATTRIBUTE not in os.listxattr(folder):
        mode = folder.stat().st_mode
        bits = {OWNER: mode >> 6 & 7, OWNING_GROUP: mode >> 3 & 7, OTHERS: mode & 7}
        return {(tag, NO_ID): permissions for tag, permissions in bits.items()}
    packed = os.getxattr(folder, ACL_ATTRIBUTE)[len(ACL_VERSION) :]
    return {(tag, user): bits for tag, bits, user in ACL_ENTRY.iter_unpack(packed)}


def write_access_list(folder: Path, entries: dict[tuple[int, int], int]) -> None:
    """Replaces the folder's access list, and its mode, by permissions by (tag, id)."""
    packed = (ACL_ENTRY.pack(tag, bits, user) for (tag, user), bits in sorted(entries.items()))
    os.setxattr(folder, ACL_ATTRIBUTE, ACL_VERSION + b"".join(packed))


def open_tree(account: Account, tree: Path) -> None:
    """Lets everyone read a tree of programs, which an installation under umask 077 keeps shut."""
    if account.is_own:
        return
    for path in [tree, *tree.rglob("*")]:
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH
        if mode & stat.S_IXUSR:
            wanted |= stat.S_IXOTH
        if wanted != mode:
            path.chmod(wanted)
