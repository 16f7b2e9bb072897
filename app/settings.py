"""All settings, from the environment or `.env`; read once at the edge and passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import ConfigError

SchemaName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1")


class Settings(BaseSettings):
    """Names and defaults as the README's table lists them."""

    model_config = SettingsConfigDict(
        env_file=".env",
        case_sensitive=False,
        extra="ignore",
        env_ignore_empty=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "DB_STRING_ASYNC", "DB_STRING"),
        repr=False,
    )
    embedded_dir: Path = Path(".data/postgres")
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

    init_db: bool = True
    dev: bool = False
    debug_logs: bool = False
    echo_sql: bool = False
    log_json: bool = False

    @model_validator(mode="after")
    def refuse_dev_on_a_remote_database(self) -> Self:
        """`DEV` drops every table, so it may only ever meet a local database."""
        if self.dev and self.database_url and not is_local(self.database_url):
            raise ValueError(
                "DEV=true drops all tables at start and is refused for a database on another host"
            )
        return self

    @property
    def archive_folder(self) -> Path:
        return self.archive_dir or self.imports_dir / ".archive"

    @property
    def quarantine_folder(self) -> Path:
        return self.imports_dir / ".quarantine"


def is_local(database_url: str) -> bool:
    """Whether the URL's host is this machine; a socket path counts as local."""
    return (urlsplit(database_url).hostname or "") in LOCAL_HOSTS


def load_settings() -> Settings:
    """Reads the settings.

    Raises ConfigError naming each setting that is wrong, what was found and what is expected.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc']).upper() or 'settings'}: "
            f"{problem['msg']} (found {problem['input']!r})"
            if problem["loc"]
            else problem["msg"]
            for problem in error.errors(include_url=False)
        ]
        raise ConfigError("Wrong settings: " + "; ".join(lines)) from error
