"""A connection that is lost at its very first statement is given back, as any other one is."""

from __future__ import annotations

import pytest

from app.errors import DatabaseUnreachableError
from app.settings import Settings
from app.store import direct
from app.store.engine import connected_engine, driver_errors
from tests import proxy
from tests.proxy import Trap, Way


async def test_a_connection_lost_before_it_is_lent_takes_no_place_in_the_pool(
    settings: Settings,
) -> None:
    assert settings.database_url
    async with (
        proxy.before(settings.database_url) as relay,
        connected_engine(relay.url, settings) as engine,
    ):
        relay.lay(Trap(Way.REQUEST, sign=b"SET lock_timeout"))
        with pytest.raises(DatabaseUnreachableError), driver_errors():
            async with direct.connect(engine):
                pass
        assert engine.pool.status().endswith("Current Checked out connections: 0")

        async with direct.connect(engine) as connection:
            await connection.exec_driver_sql("SELECT 1")
