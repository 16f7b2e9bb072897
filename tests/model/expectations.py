"""Holds what the service did against what people dropped and what the oracle makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

from tests.acceptance.file_contents import sha256
from tests.acceptance.front_door import Front, Row, counts_of, until
from tests.model.oracle import Warehouse, read_file
from tests.model.people import Drop, People

SETTLE_LIMIT_SECONDS = 20.0
# The file was changed or taken away by its owner; anything else that fails is a bug.
MAY_FAIL_FOR = ("was written to while it was read", "Broken off, and the file")


def name_of(load: Row) -> str:
    """The path below the imports folder under which the file was dropped."""
    return f"{load['folder']}/{load['file_name']}" if load["folder"] else str(load["file_name"])


class Expectations:
    """The oracle's state, and the loads it has followed so far."""

    def __init__(self, front: Front, people: People) -> None:
        self._front = front
        self._people = people
        self._warehouse = Warehouse()
        self._followed: set[int] = set()

    async def wait_for_files(self, killed: Collection[int]) -> bool:
        """Waits until no file waits and no living service is at work.

        killed: process ids of services. False when a load of theirs is left that only the next
        start ends: its file became another one, or is gone.
        """

        async def is_idle() -> bool:
            unsettled = await self._unsettled()
            return not self._people.waiting() and all(
                int(load["worker"].rpartition(":")[2]) in killed for load in unsettled
            )

        try:
            await until(is_idle, "all files dealt with", SETTLE_LIMIT_SECONDS)
        except AssertionError:
            left = (self._people.waiting(), await self._unsettled(), killed)
            raise AssertionError(f"not dealt with: {left}") from None
        return not await self._unsettled()

    async def settle(self) -> None:
        """Waits until all that was dropped is dealt with, and checks every promise."""
        await until(self._is_settled, "all loads ended and filed", SETTLE_LIMIT_SECONDS)
        ledger = [load for load in await self._front.ledger() if load["filed_at"]]
        news = [load for load in ledger if load["load_id"] not in self._followed]
        self._followed |= {load["load_id"] for load in news}
        self._check_drops(news)
        for load in sorted(news, key=lambda load: load["finished_at"]):
            self._check_load(load)
        self._check_kept(ledger)
        await self._check_warehouse()
        self._people.forget()

    async def _is_settled(self) -> bool:
        return not self._people.waiting() and not await self._unsettled()

    async def _unsettled(self) -> list[Row]:
        """Loads that are not over yet, but for those of files that somebody writes to again."""
        return [
            load
            for load in await self._front.ledger()
            if not load["filed_at"] and name_of(load) not in self._people.writers
        ]

    def _check_drops(self, news: Sequence[Row]) -> None:
        """Each content that people left in the folder was brought in once, and in its turn."""
        loads_of: dict[str, list[Row]] = defaultdict(list)
        for load in sorted(news, key=lambda load: load["finished_at"]):
            if load["status"] != "failed":
                loads_of[name_of(load)].append(load)
        drops_of = self._people.drops_of()
        assert loads_of.keys() <= drops_of.keys()
        certain: list[tuple[Drop, Row]] = []
        for name, drops in drops_of.items():
            loads = loads_of[name]
            if drops[-1].is_certain:
                assert loads, f"{name} was not loaded"
                certain.append((drops.pop(), loads.pop()))
                assert certain[-1][0].sha256 == certain[-1][1]["sha256"], f"{name}: not the last"
                assert certain[-1][1]["filed_path"], f"{name} was not kept"
            contents = iter([drop.sha256 for drop in drops])
            assert all(load["sha256"] in contents for load in loads), f"{name}: not as dropped"
        self._check_order(certain)

    def _check_order(self, certain: Sequence[tuple[Drop, Row]]) -> None:
        """Of the files that waited for a service, the last one of each place is brought in last."""
        places: dict[tuple[str, str], list[tuple[Drop, Row]]] = defaultdict(list)
        for drop, load in certain:
            if load["pipeline"] and drop.is_in_turn:
                places[load["pipeline"], load["scope"]].append((drop, load))
        for dropped in places.values():
            dropped.sort(key=lambda pair: pair[0].number)
            finished = [load["finished_at"] for _, load in dropped]
            assert finished == sorted(finished), f"not in the order of {dropped}"

    def _check_load(self, load: Row) -> None:
        """The ledger tells of the load what the rules make of the content."""
        counts = counts_of(load)
        if load["status"] == "failed":
            assert any(words in load["error"] for words in MAY_FAIL_FOR), load
            assert counts.get("read", 0) == counts.get("rejected", 0)
            return
        content = self._people.contents[load["sha256"]]
        arrived_on: date = load["discovered_at"].astimezone().date()
        reading = read_file(name_of(load), content, arrived_on)
        status, expected = self._warehouse.bring(reading, load["sha256"], load["load_id"])
        assert (load["status"], load["file_bytes"]) == (status, len(content)), (load, content)
        if expected is None:
            assert counts.get("read", 0) == counts.get("rejected", 0), (load, content)
        else:
            assert counts == expected, (load, content)
        if not reading.is_refused:
            assert (load["pipeline"], load["scope"]) == reading.place

    def _check_kept(self, ledger: Sequence[Row]) -> None:
        """Each file is where the ledger says, whole; and there is no other one."""
        settings = self._front.settings
        archived: set[str] = set()
        quarantined: set[str] = set()
        for load in ledger:
            if not load["filed_path"]:
                continue
            kept = Path(load["filed_path"])
            assert sha256(kept.read_bytes()) == load["sha256"], load
            if load["status"] == "quarantined":
                quarantined |= {kept.name, f"{kept.name}.error.json"}
            else:
                archived.add(str(kept.relative_to(settings.archive_folder)))
        assert set(self._front.archived) == archived
        assert set(self._front.quarantined) == quarantined
        assert not list(self._people.folder.glob("**/.moving/*/*"))
        for aside in self._people.folder.glob("**/.superseded/*/*"):
            assert sha256(aside.read_bytes()) in self._people.contents

    async def _check_warehouse(self) -> None:
        front, expected = self._front, self._warehouse
        loans = await front.rows(
            "SELECT repayment_date, loans, defaults, liquidations, as_of, load_id"
            " FROM warehouse.loans"
        )
        assert {row[0]: row[1:] for row in loans} == expected.loans
        assert await front.entity() == expected.entity
        titles = await front.rows(
            "SELECT title, pdl_count, coalesce((SELECT array_agg(related_title ORDER BY rank)"
            " FROM warehouse.related_title AS related WHERE related.title = job_title.title),"
            " '{}'), load_id FROM warehouse.job_title"
        )
        assert {row[0]: (row[1], tuple(row[2]), row[3]) for row in titles} == expected.titles

        async def nothing_is_staged() -> bool:
            return not await front.staged_tables()

        await until(nothing_is_staged, "an empty staging schema", SETTLE_LIMIT_SECONDS)
