"""The soak from its first file to its verdict."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg

from tests.soak import check_ledger, check_warehouse, disturbances, gauges
from tests.soak.cron import Cron
from tests.soak.disturbances import Disturbances
from tests.soak.dropping import Drop, Dropping
from tests.soak.gauges import Reading
from tests.soak.machines import BrokenError, Commands, Server, Service
from tests.soak.people import Scale, everybody
from tests.soak.remains import Row, look_at, waiting
from tests.soak.verdict import Verdict

WORKERS = 2
LONG_SECONDS = 120.0
LONG_RUN = Scale(pace=1.0, big_rows=300_000, flood=120, slowest_seconds=3.0)
SHORT_RUN = Scale(pace=0.15, big_rows=20_000, flood=20, slowest_seconds=0.5)
SETTLE_SECONDS = 300.0
LOOK_SECONDS = 0.2
# What the service's pool may hold, and one for the cron job's command.
MOST_CONNECTIONS = WORKERS + 2 + 2 + 1
# In less time a service is still warming up.
LEAST_MINUTES = 4.0
# Growth of a life after its warm-up that still counts as none: of memory a share of where it was,
# as what a load takes and the next one gives back moves the level by some percent.
FLAT_MEMORY_SHARE = 0.1
FLAT_HANDLES = 1.0
FLAT_CONNECTIONS = 0.5
BUGS = ("load crashed", "load failed", "books cannot be closed")


@dataclass
class Stage:
    """Everything that takes part."""

    folder: Path
    server: Server
    commands: Commands
    service: Service
    cron: Cron
    dropping: Dropping
    disturbances: Disturbances
    scale: Scale
    seed: int
    readings: list[Reading]

    async def live(self, seconds: float) -> None:
        """Lets everybody work for that long; whoever breaks something ends it for all."""
        async with asyncio.TaskGroup() as tasks:
            gauging = tasks.create_task(self._gauge(seconds / 500))
            disturbing = tasks.create_task(self.disturbances.run())
            cron = tasks.create_task(self.cron.run(self.dropping.stop))
            people = [
                tasks.create_task(each.work())
                for each in everybody(self.seed, self.dropping, self.scale)
            ]
            await asyncio.wait([disturbing])
            self.dropping.stop.set()
            await asyncio.wait([*people, cron])
            gauging.cancel()

    async def _gauge(self, every_seconds: float) -> None:
        while True:
            if pid := self.service.pid:
                reading = await gauges.look(pid, self.service.lives, self.server.url)
                self.readings += [reading] if reading else []
            await asyncio.sleep(min(2.5, max(0.2, every_seconds)))

    async def settle(self) -> None:
        """Waits until all is loaded, restarts the service once more, and brings all up to date."""
        await self._until_nothing_waits()
        await self.service.stop()
        await self.service.start()
        await self._until_nothing_waits()
        await self.service.stop()
        for words in (("refresh",), ("export",)):
            code, printed = await self.commands.run(*words)
            if code:
                raise BrokenError(f"{words} at the end: {code} {printed[-500:]}")

    async def _until_nothing_waits(self) -> None:
        imports, until = self.folder / "imports", time.monotonic() + SETTLE_SECONDS
        while left := await asyncio.to_thread(waiting, imports):
            self.service.require_alive()
            if time.monotonic() > until:
                raise BrokenError(f"{len(left)} files still wait, such as {left[0].name}")
            await asyncio.sleep(LOOK_SECONDS)


async def soak(folder: Path, seconds: float, seed: int, verdict: Verdict) -> None:
    """Runs it all, and notes what came of it; what breaks before the end is noted, too."""
    server = await asyncio.to_thread(Server, folder / "postgres")
    stage = await set_up(folder, server, seconds, seed)
    try:
        await stage.service.start()
        await stage.live(seconds)
        await stage.settle()
    except* Exception as broken:
        verdict.note("the run", "ended early", [repr(each) for each in flat(broken)])
    else:
        await judge(stage, verdict)
    finally:
        if stage.service.pid:
            await stage.service.kill()
        await asyncio.to_thread(server.stop)


async def set_up(folder: Path, server: Server, seconds: float, seed: int) -> Stage:
    for name in ("imports", "exports", "logs", "tmp", "dropped"):
        (folder / name).mkdir()
    is_long = seconds >= LONG_SECONDS
    scale = LONG_RUN if is_long else SHORT_RUN
    slots = disturbances.LONG if is_long else disturbances.SHORT
    commands = Commands(folder, server.url, WORKERS)
    service = Service(commands)
    stop = asyncio.Event()
    draw = random.Random(f"{seed} disturbances")
    return Stage(
        folder=folder,
        server=server,
        commands=commands,
        service=service,
        cron=Cron(commands, server, 10.0 if is_long else 1.0),
        dropping=Dropping(folder / "imports", folder / "dropped", stop, scale.slowest_seconds),
        disturbances=Disturbances(server, service, draw, slots, seconds / len(slots)),
        scale=scale,
        seed=seed,
        readings=[],
    )


def flat(broken: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions of a group and of those in it."""
    found: list[BaseException] = []
    for each in broken.exceptions:
        found += flat(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


async def judge(stage: Stage, verdict: Verdict) -> None:
    """Has the oracle read every file, and compares."""
    drops = stage.dropping.drops
    verdict.tell("files dropped", f"{len(drops):,}, {megabytes(stage)} MB")
    for what, times in sorted(stage.disturbances.done.items()):
        verdict.tell(what, f"{times} times")
    verdict.note(
        "refresh and export",
        f"{stage.cron.runs} runs, {stage.cron.unreachable} met no database",
        stage.cron.faults,
    )
    sql = await asyncpg.connect(stage.server.url)
    try:
        remains = await asyncio.to_thread(look_at, sql, stage.folder, drops)
        loads = await check_ledger.judge(remains, verdict)
        await check_warehouse.judge(remains, loads, verdict)
        tell_speed(loads, drops, verdict)
    finally:
        await sql.close()
    judge_log(stage.service, verdict)
    judge_gauges(stage.readings, verdict)
    lines = [gauges.HEADER, *(each.line for each in stage.readings)]
    await asyncio.to_thread((stage.folder / "readings.csv").write_text, "\n".join(lines) + "\n")


def megabytes(stage: Stage) -> int:
    return sum(drop.kept.stat().st_size for drop in stage.dropping.drops) // 1_000_000


def tell_speed(loads: Sequence[Row], drops: Sequence[Drop], verdict: Verdict) -> None:
    """From a file's last byte to its load's end; waiting for what was down or locked included."""
    ended: dict[tuple[str, str], deque[float]] = defaultdict(deque)
    for load in loads:
        if load["status"] != "failed":
            key = load["file_name"], load["sha256"]
            ended[key].append(load["finished_at"].timestamp())
    waits = [
        found.popleft() - drop.at for drop in drops if (found := ended[drop.file_name, drop.sha256])
    ]
    if waits:
        seen = f"{median(waits):.2f} s median, {max(waits):.0f} s at most"
        verdict.tell("from drop to loaded", seen)


def judge_log(service: Service, verdict: Verdict) -> None:
    """Nothing that only a bug could say, and no trace."""
    faults, warnings = [], 0
    for event in service.events():
        phrase = str(event.get("event"))
        warnings += event.get("level") == "warning"
        if phrase in BUGS or phrase.startswith("not JSON") or "exception" in event:
            faults.append(str(event))
    verdict.note("log of the service", f"{warnings} warnings, {len(faults)} bugs", faults)


def judge_gauges(readings: Sequence[Reading], verdict: Verdict) -> None:
    """Flat memory, flat connections, no more and more open files, in the service's longest life."""
    life = gauges.longest_life(readings)
    asked = [each.connections for each in life if each.connections is not None]
    for what, unit, values, limit in (
        ("memory", " MB", [each.memory_mb for each in life], None),
        ("open files", "", [float(each.handles) for each in life], FLAT_HANDLES),
        ("connections", "", [float(each) for each in asked], FLAT_CONNECTIONS),
    ):
        found = gauges.trend(values)
        if found is None or minutes_of(life) < LEAST_MINUTES:
            seen = f"{max(values, default=0):.0f}{unit} at most; too short to judge a trend"
            verdict.tell(what, seen)
            continue
        seen = (
            f"{found.first:.0f} -> {found.last:.0f}{unit}, grew by {found.growth:.1f} in"
            f" {minutes_of(life):.0f} minutes, {found.highest:.0f} at most"
        )
        most = FLAT_MEMORY_SHARE * found.first if limit is None else limit
        faults = [f"grew by more than {most:.1f}{unit}"] if found.growth > most else []
        verdict.note(what, seen, faults)
    highest = max((each.connections or 0 for each in readings), default=0)
    over = [f"{highest} at once"] if highest > MOST_CONNECTIONS else []
    verdict.note("connections at once", highest, over)


def minutes_of(life: Sequence[Reading]) -> float:
    """The time that is judged, the warm-up left out."""
    seconds = life[-1].at - life[0].at if life else 0.0
    return seconds / 60 * (1 - gauges.WARM_UP_SHARE)
