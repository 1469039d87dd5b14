# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The harness that counts lost requests: its account against the backends' logs, and its mix of requests."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from portal.logs import JsonFormatter
from visitors.openloop.kinds import rates

from bench.zeroloss import run as bench
from bench.zeroloss.reconcile import Account, Rise, bound, logged, reconcile
from bench.zeroloss.rig import MATRIX, cut, mix
from bench.zeroloss.rivals import longest
from bench.zeroloss.run import CONTROL, KILLS, MOVES, PARTS, Measured


def line(number: int, outcome: str = "ok", slot: str = "blue", kind: str = "h1-keep-get-0") -> str:
    return json.dumps({"id": f"r-{number}", "kind": kind, "slot": slot, "outcome": outcome})


def test_books_that_agree() -> None:
    lines = [line(1), line(2, slot="green", kind="ws-10000"), line(3, "unsent")]
    account = reconcile(lines, logged(["r-1 blue\n", "", "r-2 green\n"]))
    assert (account.sent, account.losses, account.unsent, account.agrees) == (2, 0, 1, True)
    assert account.kinds == {"h1-keep-get-0": 1, "ws-10000": 1}
    assert account.line() == (
        "2 sent, lost none (fewer than 1,500,000 in a million, at 95 %); the backends' logs agree"
    )


def test_books_that_do_not_agree() -> None:
    lines = [line(1), line(2), line(3, slot="green"), line(4, "eof", ""), line(5, "refused", "")]
    account = reconcile(lines, logged(["r-2 blue", "r-2 blue", "r-3 blue", "r-4 blue", "r-9 green"]))
    assert not account.agrees
    assert (account.unlogged, account.repeated, account.elsewhere) == (["r-1"], ["r-2"], ["r-3"])
    assert account.foreign == ["r-9"]
    assert account.lost == {"eof": 1, "refused": 1}
    assert account.kinds_lost == {"h1-keep-get-0": 2}
    assert account.done_and_lost == 1
    assert account.line() == (
        "5 sent, lost 1 eof, 1 refused; not in the logs 1, handled twice 1, by another slot 1, never sent 1"
    )


def test_a_lost_request_that_a_backend_did_twice_is_noticed() -> None:
    assert reconcile([line(1, "timeout")], {"r-1": ["blue", "green"]}).repeated == ["r-1"]


def test_accounts_add_up() -> None:
    total = Account()
    for _ in range(2):
        total.add(reconcile([line(1), line(2, "eof"), line(3, "unsent")], {"r-9": ["blue"]}))
    assert (total.sent, total.losses, total.unsent) == (4, 2, 2)
    assert total.kinds_lost == {"h1-keep-get-0": 2}
    assert (total.unlogged, total.foreign) == (["r-1"] * 2, ["r-9"] * 2)


@pytest.mark.parametrize(
    ("slots", "moved"),
    [
        ("blue blue green green", []),
        ("blue green blue green", ["a-visitor"]),
        ("green blue blue", ["a-visitor"]),
        # Lost, and nobody's answer.
        ("blue green - green", []),
    ],
)
def test_who_was_moved_back_while_the_share_only_rose_is_noticed(slots: str, moved: list[str]) -> None:
    lines = [
        json.dumps({**json.loads(line(at, slot=slot.strip("-"))), "sent_at": at, "ms": 500, "visitor": "a-visitor"})
        for at, slot in enumerate(slots.split(), 1)
    ]
    assert reconcile(lines, {}, [Rise(1, 9, "green")]).unsticky == moved
    # Afterwards, and the other way round, it is no move back.
    assert reconcile(lines, {}, [Rise(0, 1, "green"), Rise(9, 99, "green")]).unsticky == []


def test_what_was_asked_before_the_candidate_answered_is_no_move_back() -> None:
    both = [("green", 1.0, 10_000), ("blue", 1.1, 300)]
    lines = [
        json.dumps({**json.loads(line(number, slot=slot)), "sent_at": at, "ms": ms, "visitor": "v"})
        for number, (slot, at, ms) in enumerate(both)
    ]
    assert reconcile(lines, {}, [Rise(0, 9, "green")]).unsticky == []
    strangers = [json.dumps({**json.loads(text), "sent_at": 20 * at, "visitor": ""}) for at, text in enumerate(lines)]
    assert reconcile(strangers, {}, [Rise(0, 99, "green")]).unsticky == []


@pytest.mark.parametrize(
    ("sent", "lost", "said"),
    [
        (1_000_000, 0, " (fewer than 3 in a million, at 95 %)"),
        (3000, 0, " (fewer than 1,000 in"),
        (9, 1, ""),
        (0, 0, ""),
    ],
)
def test_none_in_so_many_has_a_bound(sent: int, lost: int, said: str) -> None:
    assert bound(sent, lost).startswith(said)
    assert bool(said) == bool(bound(sent, lost))


def test_the_mix_has_all_kinds_and_its_rate() -> None:
    found = mix(300)
    assert set(found) == {*MATRIX, "ws-10000"}
    assert len(MATRIX) == 24
    assert sum(found.values()) == pytest.approx(300)
    assert len(rates([f"{name}={rate}" for name, rate in found.items()])) == 25


@pytest.mark.parametrize("message", ["request", "websocket"])
def test_ids_and_slots_are_cut_out_of_the_portals_log(message: str) -> None:
    text = ""
    for name, slot in (("r-1", "blue"), ("r-2", "green"), ("other-3", "blue"), ("", "blue")):
        fields = {"request_id": "x", "slot": slot, "path": "/ping", "ms": 1.0, **({"load_id": name} if name else {})}
        record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "fields": fields})
        text += JsonFormatter().format(record) + "\n"
    done = subprocess.run(["sh", "-c", cut("r")], input=text, capture_output=True, text=True, check=True)
    assert logged(done.stdout.splitlines()) == {"r-1": ["blue"], "r-2": ["green"]}


def test_how_long_the_old_slot_was_still_asked_is_counted_from_the_end_of_a_change_to_the_next() -> None:
    lines = [
        json.dumps({"sent_at": at, "slot": slot})
        for at, slot in ((1, "blue"), (9, "blue"), (11, "blue"), (12.5, "blue"), (19.5, "blue"), (21, "green"))
    ]
    assert longest(lines, [(8, 10, "blue"), (19, 20, "green")]) == 2.5


# Parts


def counted(part: str, lost: int = 0) -> Measured:
    """What a part measures, in short: 100 requests and 10 switches for each move, or the kills."""
    found = Measured(seconds=60, rivals="others" if part == KILLS else "")
    if part == KILLS:
        found.rows[CONTROL].account.add(reconcile([line(1, "eof", "")], {}))
        return found
    for name in MOVES:
        lines = [line(number, "eof" if number <= lost else "ok") for number in range(1, 101)]
        found.rows[name].account.add(reconcile(lines, {f"r-{number}": ["blue"] for number in range(lost + 1, 101)}))
        found.rows[name].switches = 10
    return found


def run_part(monkeypatch: pytest.MonkeyPatch, folder: Path, part: str, lost: int = 0) -> None:
    """Run the program for a part of 1,200 requests; the hosts are what is left out."""
    monkeypatch.setattr(bench, "measure", lambda part, *_: counted(part, lost))
    monkeypatch.setattr(bench, "HERE", folder)
    options = ["--part", part, "--kept", str(folder / "kept"), "--requests", "1200", "--switches", "120"]
    monkeypatch.setattr(sys, "argv", ["run.py", *options])
    bench.main()


def test_parts_make_up_a_million_requests() -> None:
    assert PARTS == ("moves-1", "moves-2", "moves-3", KILLS)


def test_a_part_is_read_as_it_was_written(tmp_path: Path) -> None:
    for part in PARTS:
        counted(part, lost=3).keep(tmp_path, part)
    total, missing = Measured.kept(tmp_path)
    assert missing == []
    assert (total.rivals, total.seconds) == ("others", 60 * len(PARTS))
    account = total.moved().account
    assert (account.sent, account.losses, total.moved().switches) == (1200, 36, 120)
    assert account.lost == {"eof": 36}
    assert account.kinds == {"h1-keep-get-0": 1200}


def test_parts_add_up_to_one_table_in_any_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for part in ("moves-2", KILLS, "moves-1"):
        run_part(monkeypatch, tmp_path, part)
        assert not (tmp_path / "README.md").exists()
    run_part(monkeypatch, tmp_path, "moves-3")
    text = (tmp_path / "README.md").read_text()
    assert "**1,200 requests, 120 switches, lost 0**" in text
    assert "(met)" in text
    assert "others" in text
    # Again, and it counts once.
    run_part(monkeypatch, tmp_path, "moves-3")
    assert (tmp_path / "README.md").read_text() == text


def test_a_part_that_lost_something_fails_and_another_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="moves-1: requests were lost"):
        run_part(monkeypatch, tmp_path, "moves-1", lost=1)
    for part in ("moves-2", "moves-3", KILLS):
        run_part(monkeypatch, tmp_path, part)
    assert "another part missed the goal: see the table" in capsys.readouterr().out
    assert "lost 4** (**missed**)" in (tmp_path / "README.md").read_text()
    run_part(monkeypatch, tmp_path, "moves-1")
    assert "lost 0**" in (tmp_path / "README.md").read_text()


def test_kills_that_nobody_saw_prove_nothing() -> None:
    found = counted(KILLS)
    assert found.sound(KILLS)
    found.rows[CONTROL].account.lost.clear()
    assert not found.sound(KILLS)
    assert counted("moves-1").sound("moves-1")
    assert not counted("moves-1").sound()
