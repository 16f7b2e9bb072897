"""Files that cannot be loaded: set aside with a note a person understands; all else goes on."""

from __future__ import annotations

import json
import re

import asyncpg

from tests.acceptance.conftest import Watch
from tests.acceptance.file_contents import (
    entity_csv,
    gzipped,
    loans_csv,
    sha256,
    some_loans,
    some_values,
)
from tests.acceptance.front_door import Daemon, Front, counts_of

LOANS = some_loans(40)
GOOD = loans_csv(LOANS)
HEADER = GOOD.splitlines(keepends=True)[0]
BAD_ROWS = [b"2022-13-01,1,0,0\n", b"2022-03-02,x,0,0\n", b"2022-03-03,1,1,1\n"]

# Name, content, and what the note has to say: found, expected, what to do.
REFUSED = {
    "unknown name": ("weather.csv", GOOD, "weather.csv", "loans: *loans*", "rename the file"),
    "unknown ending": ("loans.xlsx", GOOD, "loans.xlsx", r"\.csv.*\.parquet", "save the data"),
    "unknown header": (
        "loans_a.csv",
        b"day,loans\n2022-01-01,1\n",
        "header 'day', 'loans'",
        "'Date of Repayment'",
        "correct the header",
    ),
    "two as-of dates": (
        "loans_b.csv",
        GOOD.replace(b"Liquidation (as of 2023-05-09)", b"Liquidation (as of 2023-05-08)"),
        "2023-05-08 and 2023-05-09",
        "the same as-of date",
        "correct the header",
    ),
    "broken header": ("loans_c.csv", b'"Date of Repayment,Number', "header", ".", "."),
    "empty": ("loans_d.csv", b"", "empty|no header|no content|0 bytes", ".", "."),
    "truncated gzip": (
        "loans_e.csv.gz",
        gzipped(loans_csv(some_loans(4000)))[:-2000],
        "cut off or damaged",
        "a whole compressed file",
        "drop it anew",
    ),
    "not gzip": ("loans_f.csv.gz", GOOD, "not gzip-compressed", "gzip-compressed text", "."),
    "workbook": ("loans_g.csv", b"PK\x03\x04" + bytes(99), "Excel", "plain text", "export"),
    "too many rejects": (
        "loans_h.csv",
        HEADER + b"".join(BAD_ROWS) + b"2022-04-01,1,0,0\n",
        "3 bad rows among the 4 read, the first in line 2, repayment_date",
        "0.1 of the rows",
        "correct the rows that `rejects` lists",
    ),
    "not a month": ("entity_2023-13.csv", entity_csv(some_values(3)), "2023-13", "YYYY-MM", "."),
}


async def test_each_kind_of_faulty_file_is_quarantined_with_a_note_and_the_next_one_loads(
    front: Front, daemon: Daemon
) -> None:
    for name, content, *_ in REFUSED.values():
        front.drop(name, content)
    front.drop("loans_z.csv", GOOD)

    loads = {load["file_name"]: load for load in await front.filed(len(REFUSED) + 1)}

    assert loads.pop("loans_z.csv")["status"] == "loaded"
    assert {load["status"] for load in loads.values()} == {"quarantined"}
    assert await front.loans() == LOANS
    assert await front.entity() == {}
    assert await front.staged_tables() == []
    kept = {f"{load['load_id']}_{name}": name for name, load in loads.items()}
    contents = {name: content for name, content, *_ in REFUSED.values()}
    found = front.quarantined
    assert {name: found.pop(name) for name in kept} == {
        kept_name: contents[name] for kept_name, name in kept.items()
    }
    assert set(found) == {f"{kept_name}.error.json" for kept_name in kept}
    assert front.waiting == {}


async def test_the_note_says_what_was_found_what_was_expected_and_what_to_do(
    front: Front, daemon: Daemon
) -> None:
    for name, content, *_ in REFUSED.values():
        front.drop(name, content)

    loads = {load["file_name"]: load for load in await front.filed(len(REFUSED))}

    for name, content, found, expected, remedy in REFUSED.values():
        load = loads[name]
        note = json.loads(front.quarantined[f"{load['load_id']}_{name}.error.json"])
        assert (note["load_id"], note["file_name"]) == (load["load_id"], name)
        assert (note["sha256"], note["reason"]) == (sha256(content), load["error"])
        for text, pattern in (
            (note["found"], found),
            (note["expected"], expected),
            (note["what_to_do"], remedy),
        ):
            assert text, name
            assert re.search(pattern.replace("*", r"\*") if "loans: " in pattern else pattern, text)
            assert text in note["reason"]


async def test_the_note_and_the_ledger_list_the_rejected_rows_of_a_refused_file(
    front: Front, daemon: Daemon
) -> None:
    name, content, *_ = REFUSED["too many rejects"]
    front.drop(name, content)

    [load] = await front.filed(1)

    expected = [
        (2, "repayment_date", "2022-13-01,1,0,0"),
        (3, "loans", "2022-03-02,x,0,0"),
        (4, None, "2022-03-03,1,1,1"),
    ]
    rejects = await front.rows("SELECT line_number, column_name, raw FROM ops.reject ORDER BY 1")
    note = json.loads(front.quarantined[f"{load['load_id']}_{name}.error.json"])
    assert rejects == expected
    assert [(r["line_number"], r["column_name"], r["raw"]) for r in note["rejects"]] == expected
    assert counts_of(load) == {"read": 4, "rejected": 4}
    assert await front.loans() == {}


async def test_a_file_that_two_feeds_would_take_is_refused_and_loads_from_a_feed_folder(
    front: Front, daemon: Daemon
) -> None:
    front.drop("loans_titles.csv", b"title,pdl count\na,1\n")
    front.drop("loans_titles_2.csv", GOOD)
    front.drop("loans/titles.csv", b"title,pdl count\nb,1\n")

    loads = await front.filed(3)

    # Name and header together decide.
    assert {load["file_name"]: (load["status"], load["pipeline"]) for load in loads} == {
        "loans_titles.csv": ("loaded", "job_titles"),
        "loans_titles_2.csv": ("loaded", "loans"),
        "titles.csv": ("quarantined", None),
    }


async def test_few_rejects_do_not_keep_the_good_rows_out(front: Front, watch: Watch) -> None:
    await watch(MAX_REJECTED_ROWS="2")
    front.drop("loans_1.csv", GOOD + BAD_ROWS[0] + BAD_ROWS[1])
    front.drop("loans_2.csv", GOOD + b"".join(BAD_ROWS))

    first, second = await front.filed(2)

    assert (first["status"], counts_of(first)) == (
        "loaded",
        {"read": 42, "inserted": 40, "rejected": 2},
    )
    assert second["status"] == "quarantined"
    assert "MAX_REJECTED_ROWS" in second["error"]
    assert await front.loans() == LOANS


# A load that fails by a fault of ours


async def test_a_failed_load_is_set_aside_with_its_reason_and_other_feeds_go_on(
    front: Front, daemon: Daemon, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        """
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'out of order' USING DETAIL = 'row 4711'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON warehouse.loans FOR EACH ROW EXECUTE FUNCTION fail();
        """
    )
    front.drop("loans.csv", GOOD)
    front.drop("entity_2023-01.csv", entity_csv(some_values(5)))

    loads = {load["file_name"]: load for load in await front.filed(2)}

    failed = loads["loans.csv"]
    assert (failed["status"], failed["pipeline"], counts_of(failed)) == ("failed", "loans", {})
    assert re.search("out of order", failed["error"])
    assert "MERGE" not in failed["error"]
    note = json.loads(front.quarantined[f"{failed['load_id']}_loans.csv.error.json"])
    assert note["reason"] == failed["error"]
    assert f"replay {failed['load_id']}" in note["what_to_do"]
    assert front.quarantined[f"{failed['load_id']}_loans.csv"] == GOOD
    assert (loads["entity_2023-01.csv"]["status"], await front.loans()) == ("loaded", {})
    # Someone has to look, and finds a trace; a row's values are none of the log's business.
    [trace] = daemon.events_named("load failed")
    assert (trace["level"], trace["load_id"]) == ("error", failed["load_id"])
    assert "Traceback" in trace["exception"]
    assert not any("4711" in line for line in daemon.lines)

    await sql.execute("DROP TRIGGER fail ON warehouse.loans")
    front.drop("loans.csv", GOOD)
    assert (await front.filed(3))[-1]["status"] == "loaded"
    assert await front.loans() == LOANS
