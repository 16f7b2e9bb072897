"""What the settings of TLS and SASL make of a Kafka client, and which do not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from app.errors import ConfigError
from app.settings import Settings
from app.sources import topic
from app.sources.kafka import kafka_errors
from app.sources.kafka_security import security_options

LOGIN = {
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "sluice",
    "kafka_sasl_password": "hush",
}


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "some.pem"
    path.write_text("no certificate\n")
    return path


def settings_with(**given: Any) -> Settings:
    return Settings(kafka_bootstrap_servers="127.0.0.1:1", **given)


def test_without_settings_nothing_is_encrypted_and_nobody_logs_in() -> None:
    assert security_options(settings_with()) == {"security.protocol": "PLAINTEXT"}


def test_every_setting_is_passed_on_under_its_name_of_the_client(pem: Path) -> None:
    files = dict.fromkeys(("ca", "certificate", "key"), pem)
    given = {f"kafka_ssl_{name}_location": path for name, path in files.items()}
    settings = settings_with(
        kafka_security_protocol="sasl_ssl", kafka_ssl_key_password="hush, too", **LOGIN, **given
    )

    assert security_options(settings) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "sluice",
        "sasl.password": "hush",
        "ssl.ca.location": str(pem),
        "ssl.certificate.location": str(pem),
        "ssl.key.location": str(pem),
        "ssl.key.password": "hush, too",
    }


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_the_client_takes_what_it_is_given(protocol: str, mechanism: str) -> None:
    login = LOGIN | {"kafka_sasl_mechanism": mechanism}
    settings = settings_with(kafka_security_protocol=protocol, **login)

    with kafka_errors(settings):
        Consumer(topic.options(settings)).close()


def test_a_file_that_the_client_cannot_use_is_a_clear_error(pem: Path) -> None:
    settings = settings_with(kafka_security_protocol="SSL", kafka_ssl_ca_location=pem)

    with (
        pytest.raises(ConfigError, match=r"^Kafka refuses: .*ssl\.ca\.location"),
        kafka_errors(settings),
    ):
        Consumer(topic.options(settings))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"kafka_sasl_username": "sluice", "kafka_sasl_password": "hush"},
            "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are set, but"
            " KAFKA_SECURITY_PROTOCOL=PLAINTEXT makes no use of that; set it to SASL_SSL",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_sasl_password": "hush"},
            "KAFKA_SASL_PASSWORD is set, but KAFKA_SECURITY_PROTOCOL=SSL makes no use of that;"
            " set it to SASL_SSL",
        ),
        (
            {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ssl_key_password": "hush"} | LOGIN,
            "KAFKA_SSL_KEY_PASSWORD is set, but KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT makes no use"
            " of that; set it to SSL or SASL_SSL",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_password": "hush"},
            "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and"
            " KAFKA_SASL_PASSWORD; set KAFKA_SASL_MECHANISM and KAFKA_SASL_USERNAME",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ssl_certificate_location": "/no/file.pem"},
            "A certificate of our own needs KAFKA_SSL_CERTIFICATE_LOCATION and"
            " KAFKA_SSL_KEY_LOCATION; set KAFKA_SSL_KEY_LOCATION",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ssl_ca_location": "/no/file.pem"},
            "KAFKA_SSL_CA_LOCATION names /no/file.pem, which cannot be read: No such file or"
            " directory",
        ),
    ],
)
def test_what_does_not_go_together_is_a_clear_error_without_a_secret(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        security_options(settings_with(**given))

    assert str(refused.value) == message
    assert "hush" not in message
