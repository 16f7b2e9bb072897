"""The two roles beside the owner of the tables: the service's, and that of people who only look.

Made and granted by `migrate`, as views are made; docs/decisions/least-privilege.md says what each
may do and why.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata

import structlog
from sqlalchemy import Connection, text

from app.settings import Settings
from app.store.scripts import Scripts
from models.base import STAGING, WAREHOUSE

APP = "sluice_app"
READER = "sluice_reader"
# What PostgreSQL itself uses.
SCRAM_ROUNDS = 4096
SALT_BYTES = 16
MAKE_BY_HAND = (
    f"CREATE ROLE {APP} LOGIN; CREATE ROLE {READER} LOGIN;"
    f" ALTER ROLE {READER} SET statement_timeout = '2min';"
)

logger = structlog.get_logger(__name__)


def bring_up_to_date(connection: Connection, scripts: Scripts, settings: Settings) -> None:
    """Makes the roles that are missing, grants what they lack, and sets the settings' passwords.

    Runs inside the caller's transaction. Where this login may make no roles, one line says so,
    and nothing else is different: all works as the owner.
    """
    connection.execute(scripts.statement("roles/make"))
    passwords = {APP: settings.sluice_app_password, READER: settings.sluice_reader_password}
    if missing := [role for role in passwords if not exists(connection, role)]:
        logger.warning(
            "roles not made",
            missing=", ".join(missing),
            to_do=f"as an administrator run: {MAKE_BY_HAND} then run migrate again",
        )
        return
    grant(connection, scripts)
    for role, password in passwords.items():
        if password:
            set_password(connection, scripts, role, password)


def exists(connection: Connection, role: str) -> bool:
    """Whether the server has the role."""
    found = connection.execute(text("SELECT to_regrole(:role) IS NOT NULL"), {"role": role})
    return bool(found.scalar_one())


def grant(connection: Connection, scripts: Scripts) -> None:
    """Grants what the roles lack, in what is there and in tables to come."""
    schemas = {name: scripts.schema(name) for name in (STAGING, WAREHOUSE)}
    missing = connection.execute(scripts.statement("roles/missing_grants"), schemas).scalars()
    for statement in missing.all():
        connection.exec_driver_sql(statement)
    for future in scripts.statements("roles/future"):
        connection.execute(future)


def set_password(connection: Connection, scripts: Scripts, role: str, password: str) -> None:
    """Gives the role its password; neither a statement nor the server's log ever holds it."""
    settings = {"sluice.role": role, "sluice.verifier": verifier(password, os.urandom(SALT_BYTES))}
    for name, value in settings.items():
        connection.execute(
            text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value}
        )
    connection.execute(scripts.statement("roles/password"))


def verifier(password: str, salt: bytes) -> str:
    """Gives what the server keeps of a password: RFC 5803, in PostgreSQL's form."""
    normal = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", normal, salt, SCRAM_ROUNDS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    as_text = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return "SCRAM-SHA-256${}:{}${}:{}".format(SCRAM_ROUNDS, *as_text)
