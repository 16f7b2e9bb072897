"""The address of a PostgreSQL database, taken apart for the settings, the driver and psql.

Reads and writes addresses as SQLAlchemy does, and does without it: it takes 200 ms to import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import parse_qsl, quote, quote_plus, unquote

SCHEMES = re.compile(r"postgres(?:ql)?(?:\+\w+)?")
PORT = 5432
HIGHEST_PORT = 65535
FORM = re.compile(
    r"""
    (?P<scheme>[\w+]+)://
    (?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?
    (?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?
    (?::(?P<port>[^/?]*))?
    (?:/(?P<database>[^?]*))?
    (?:\?(?P<options>.*))?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is, and as whom to go there; a part that is None is the driver's choice.

    options: what stands behind the question mark, each with all its values.
    """

    user: str | None
    password: str | None = field(repr=False)
    host: str | None
    port: int | None
    database: str | None
    options: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Takes an address apart. Raises ValueError, without showing it, when it is none."""
        found = FORM.match(text)
        port = (found and found["port"]) or ""
        is_port = re.fullmatch(r"\d*", port) and int(port or PORT) <= HIGHEST_PORT
        if not found or not SCHEMES.fullmatch(found["scheme"]) or not is_port:
            raise ValueError(
                "expected an address like postgresql://user:password@host:5432/database"
            )
        if "@" in (found["host"] or ""):
            raise ValueError("an @ in the address's password has to be written as %40")
        options: dict[str, tuple[str, ...]] = {}
        for name, value in parse_qsl(found["options"] or ""):
            options[name] = (*options.get(name, ()), value)
        user, password, database = (
            part if part is None else unquote(part)
            for part in (found["user"], found["password"], found["database"])
        )
        host = found["ipv6"] or found["host"]
        return cls(user, password, host, int(port) if port else None, database, options)

    def __str__(self) -> str:
        """Writes the address out, with its password."""
        host = self.host or ""
        parts = ["postgresql://"]
        if self.user is not None:
            password = "" if self.password is None else f":{quote(self.password, safe=' +')}"
            parts.append(f"{quote(self.user, safe=' +')}{password}@")
        parts.append(f"[{host}]" if ":" in host else host)
        if self.port is not None:
            parts.append(f":{self.port}")
        if self.database is not None:
            parts.append(f"/{quote(self.database, safe=' +/')}")
        options = [
            f"{quote_plus(name)}={quote_plus(value)}"
            for name in sorted(self.options)
            for value in self.options[name]
        ]
        return "".join(parts) + ("?" + "&".join(options) if options else "")

    def without_password(self) -> Self:
        return replace(self, password=None)

    def with_ssl_as(self, name: str) -> Self:
        """Gives the address with its SSL option named as asyncpg (ssl) or psql (sslmode) has it."""
        options = dict(self.options)
        given = [options.pop("sslmode", ()), options.pop("ssl", ())]
        mode = next((values[-1] for values in given if values), None)
        return replace(self, options={**options, name: (mode,)} if mode else options)

    def hosts_in_options(self) -> list[str]:
        """Gives each host that stands behind the question mark: a name or a socket's folder."""
        return [host for hosts in self.options.get("host", ()) for host in hosts.split(",")]

    def connect_arguments(self) -> dict[str, Any]:
        """Gives the arguments for `asyncpg.connect`; where both name hosts, the options count."""
        named = self.hosts_in_options() or ([self.host] if self.host else [])
        hosts = [split_port(host) for host in named]
        told: dict[str, Any] = {
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "host": [host for host, _ in hosts],
            "port": self.ports([port for _, port in hosts]),
            "ssl": next(iter(self.with_ssl_as("ssl").options.get("ssl", ())), None),
        }
        return {name: value for name, value in told.items() if value not in (None, "", [])}

    def ports(self, beside_hosts: Sequence[int | None]) -> int | list[int] | None:
        """Gives one port for all hosts, or each one's, or None for the driver's choice."""
        in_options = [port for ports in self.options.get("port", ()) for port in ports.split(",")]
        if in_options or any(beside_hosts):
            ports = [int(port or PORT) for port in in_options or beside_hosts]
            return ports if len(ports) > 1 else ports[0]
        return self.port


def split_port(host: str) -> tuple[str, int | None]:
    """Parts `host:port`; a folder, or a host alone, has none."""
    found = re.fullmatch(r"([\w.-]+):(\d+)", host)
    return (found[1], int(found[2])) if found else (host, None)
