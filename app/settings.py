"""All settings, from the environment or `.env`; read once at the edge and passed on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    ByteSize,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.address import Address
from app.errors import ConfigError
from app.secret_files import read_secret_files

SchemaName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# Those of libpq that the driver understands too.
ADDRESS_OPTIONS = ("host", "port", "ssl", "sslmode")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Settings(BaseSettings):
    """Names and defaults as the README's table lists them."""

    model_config = SettingsConfigDict(
        env_file=".env",
        case_sensitive=False,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then `.env`, then files that either of them names for secrets."""
        given: dict[str, str | None] = {}
        for source in (dotenv_settings, env_settings):
            if isinstance(source, EnvSettingsSource):
                given |= source.env_vars
        secrets = InitSettingsSource(settings_cls, dict(read_secret_files(given)))
        return init_settings, env_settings, dotenv_settings, secrets

    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "DB_STRING_ASYNC", "DB_STRING"),
        repr=False,
    )
    owner_database_url: str | None = Field(default=None, repr=False)
    sluice_app_password: str | None = Field(default=None, repr=False)
    sluice_reader_password: str | None = Field(default=None, repr=False)
    embedded_dir: Path = Path(".data/postgres")
    source_database_url: str | None = Field(default=None, repr=False)
    source_timeout_seconds: float = Field(default=600.0, gt=0, le=1_000_000)
    # Above it, values would not fit the source's column.
    random_main_controller: int = Field(default=100, ge=1, le=50_000_000)
    kafka_bootstrap_servers: str | None = None
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: str | None = Field(default=None, repr=False)
    kafka_ssl_ca_location: Path | None = None
    kafka_ssl_certificate_location: Path | None = None
    kafka_ssl_key_location: Path | None = None
    kafka_ssl_key_password: str | None = Field(default=None, repr=False)
    kafka_group: str = Field(default="sluice", min_length=1)
    kafka_batch_rows: int = Field(default=10_000, ge=1, le=100_000)
    kafka_batch_seconds: float = Field(default=1.0, gt=0, le=60)
    # Brokers allow no less, unless told to.
    kafka_session_seconds: float = Field(default=10.0, ge=6, le=300)
    staging_schema: SchemaName = "staging"
    dw_schema: SchemaName = "warehouse"

    imports_dir: Path = Path("imports")
    exports_dir: Path = Path("exports")
    logs_dir: Path = Path("logs")
    archive_dir: Path | None = Field(default=None, description="imports_dir/.archive when unset")
    on_success: Literal["archive", "delete"] = "archive"

    workers: int = Field(default=2, ge=1, le=64)
    settle_seconds: float = Field(default=1.0, ge=0)
    sweep_seconds: float = Field(default=10.0, gt=0)
    force_polling: bool = False
    stale_file_seconds: float = Field(default=3600.0, gt=0)

    max_rejected_ratio: float = Field(default=0.1, ge=0, le=1)
    max_rejected_rows: int | None = Field(default=None, ge=0)
    # Of a refused file; one at least shows what is wrong with it.
    max_kept_rejects: int = Field(default=100_000, ge=1)

    max_uncompressed_bytes: ByteSize = Field(default=ByteSize(16 << 30), gt=0)
    max_compression_ratio: float = Field(default=200.0, ge=1)
    max_line_bytes: ByteSize = Field(default=ByteSize(1 << 20), ge=4 << 10, le=256 << 20)
    max_columns: int = Field(default=2000, ge=1)
    # The decoder needs some of it before it has seen any row.
    max_parquet_memory_bytes: ByteSize = Field(default=ByteSize(512 << 20), ge=64 << 20)

    init_db: bool = True
    dev: bool = False
    debug_logs: bool = False
    echo_sql: bool = False
    log_json: bool = False

    @field_validator("kafka_security_protocol", "kafka_sasl_mechanism", mode="before")
    @classmethod
    def accept_any_case(cls, given: object) -> object:
        """Takes names of Kafka's in small letters, too."""
        return given.upper() if isinstance(given, str) else given

    @field_validator("database_url", "owner_database_url", "source_database_url")
    @classmethod
    def require_address(cls, given: str | None) -> str | None:
        """Refuses here what the driver would refuse later, in words of its own."""
        if given is not None:
            parse_address(given)
        return given

    @model_validator(mode="after")
    def keep_schemas_apart(self) -> Self:
        """A feed's staging and warehouse tables have the same name."""
        if len({"ops", self.staging_schema, self.dw_schema}) < 3:
            raise ValueError(
                "STAGING_SCHEMA and DW_SCHEMA need two different names, and not 'ops' (found"
                f" {self.staging_schema!r} and {self.dw_schema!r})"
            )
        return self

    @model_validator(mode="after")
    def refuse_dev_on_a_remote_database(self) -> Self:
        """`DEV` drops every table, so it may only ever meet a local database."""
        addresses = filter(None, (self.database_url, self.owner_database_url))
        if self.dev and not all(map(is_local, addresses)):
            raise ValueError(
                "DEV=true drops all tables at start and is refused for a database on another host"
            )
        return self

    @model_validator(mode="after")
    def require_a_database_beside_its_owner(self) -> Self:
        """The embedded server has one login only."""
        if self.owner_database_url and not self.database_url:
            raise ValueError(
                "OWNER_DATABASE_URL is set, and DATABASE_URL, as whom the service works, is not"
            )
        return self

    @property
    def archive_folder(self) -> Path:
        return self.archive_dir or self.imports_dir / ".archive"

    @property
    def quarantine_folder(self) -> Path:
        return self.imports_dir / ".quarantine"


def parse_address(database_url: str) -> Address:
    """Takes an address apart. Raises ValueError, without showing it, when it can never work."""
    address = Address.parse(database_url)
    if unknown := sorted(set(address.options) - set(ADDRESS_OPTIONS)):
        raise ValueError(
            f"the address has the option {unknown[0]!r}; known are {', '.join(ADDRESS_OPTIONS)}"
        )
    modes = {*address.options.get("ssl", ()), *address.options.get("sslmode", ())}
    ports = ",".join(address.options.get("port", ()))
    if modes - set(SSL_MODES) or not re.fullmatch(r"[\d,]*", ports):
        raise ValueError(
            f"the address needs numbers as port and, as sslmode, one of {', '.join(SSL_MODES)}"
        )
    return address


def is_local(database_url: str) -> bool:
    """Whether every host of the address is this machine; a socket's folder counts as local."""
    address = parse_address(database_url)
    hosts = address.hosts_in_options()
    if address.host:
        hosts.append(address.host)
    if not hosts:  # then the driver looks there
        hosts = os.environ.get("PGHOST", "localhost").split(",")
    return "PGSERVICE" not in os.environ and all(map(is_local_host, hosts))


def is_local_host(host: str) -> bool:
    """Whether a host, or a host with its port, is this machine."""
    return host in LOCAL_HOSTS or host.startswith("/") or re.sub(r":\d+\Z", "", host) in LOCAL_HOSTS


def load_settings() -> Settings:
    """Reads the settings.

    Raises ConfigError naming each setting that is wrong, what was found and what is expected.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [describe(problem) for problem in error.errors(include_url=False)]
        raise ConfigError("\n  ".join(["Wrong settings:", *lines])) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            ".env cannot be read: it is not UTF-8 text. Save it as UTF-8, or remove it."
        ) from error


def describe(problem: Mapping[str, Any]) -> str:
    """Says in one line what is wrong with a setting; an address is a secret and is not shown."""
    message: str = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    if problem["type"] == "value_error":
        return f"{str(problem['loc'][0]).upper()}: {message}"
    return f"{str(problem['loc'][0]).upper()}: {message} (found {problem['input']!r})"
