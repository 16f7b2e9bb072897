"""How the brokers are sure of us and we of them: settings to options of the Kafka client."""

from __future__ import annotations

from pathlib import Path

from app.errors import ConfigError
from app.settings import Settings

# The settings that only one kind of connection has a use for, by the option that each becomes.
OF_SASL = {
    "kafka_sasl_mechanism": "sasl.mechanism",
    "kafka_sasl_username": "sasl.username",
    "kafka_sasl_password": "sasl.password",
}
OF_SSL = {
    "kafka_ssl_ca_location": "ssl.ca.location",
    "kafka_ssl_certificate_location": "ssl.certificate.location",
    "kafka_ssl_key_location": "ssl.key.location",
    "kafka_ssl_key_password": "ssl.key.password",
}
FILES = ("kafka_ssl_ca_location", "kafka_ssl_certificate_location", "kafka_ssl_key_location")


def security_options(settings: Settings) -> dict[str, str]:
    """Gives the client's options of TLS and SASL; none where the brokers ask for neither.

    Raises ConfigError, which never shows a secret, where settings do not go together.
    """
    protocol = settings.kafka_security_protocol
    given = {name: str(value) for name in (*OF_SASL, *OF_SSL) if (value := getattr(settings, name))}
    refuse_useless(protocol, "SASL", [name for name in OF_SASL if name in given])
    refuse_useless(protocol, "SSL", [name for name in OF_SSL if name in given])
    if "SASL" in protocol:
        require_all(f"KAFKA_SECURITY_PROTOCOL={protocol}", list(OF_SASL), given)
    if given.keys() & {"kafka_ssl_certificate_location", "kafka_ssl_key_location"}:
        both = ["kafka_ssl_certificate_location", "kafka_ssl_key_location"]
        require_all("A certificate of our own", both, given)
    for name in FILES:
        require_file(name, given.get(name))
    options = {**OF_SASL, **OF_SSL}
    return {"security.protocol": protocol} | {options[name]: given[name] for name in given}


def refuse_useless(protocol: str, kind: str, names: list[str]) -> None:
    """Raises ConfigError for settings of SASL or SSL where the connection has none."""
    if names and kind not in protocol.split("_"):
        raise ConfigError(
            f"{listed(names)} {'is' if len(names) == 1 else 'are'} set, but"
            f" KAFKA_SECURITY_PROTOCOL={protocol} makes no use of that; set it to"
            f" {'SASL_SSL' if kind == 'SASL' else 'SSL or SASL_SSL'}"
        )


def require_all(what: str, names: list[str], given: dict[str, str]) -> None:
    """Raises ConfigError unless all of these are set."""
    if missing := [name for name in names if name not in given]:
        raise ConfigError(f"{what} needs {listed(names)}; set {listed(missing)}")


def require_file(name: str, path: str | None) -> None:
    """Raises ConfigError for a file that cannot be read, which the client names less well."""
    if path is None:
        return
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(
            f"{name.upper()} names {path}, which cannot be read: {error.strerror}"
        ) from error


def listed(names: list[str]) -> str:
    """Gives settings as people write them."""
    return " and ".join(filter(None, (", ".join(map(str.upper, names[:-1])), names[-1].upper())))
