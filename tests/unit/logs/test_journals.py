# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The journals of all hosts as one: what is asked for, and how lines are shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.logs import journals

SERVICES = ["portal", "portal-worker"]
REQUEST = "49139998-e984-4198-8e0b-f84003ed52ed"


def line(second: float, message: Any, program: str = "portal-blue", unit: str = "portal-blue.service") -> str:
    stamp = str(int((1_796_124_472 + second) * 1_000_000))
    entry = {"__REALTIME_TIMESTAMP": stamp, "MESSAGE": message, "SYSLOG_IDENTIFIER": program, "_SYSTEMD_UNIT": unit}
    return json.dumps(entry)


class TestTheCommand:
    def words(self, **given: Any) -> str:
        values = {"request": "", "service": "", "since": "1h", "lines": 200, "services": SERVICES} | given
        return " ".join(journals.command(**values))

    @pytest.mark.parametrize(
        ("since", "said"),
        [
            ("10m", "10 minutes ago"),
            ("3d", "3 days ago"),
            ("today", "today"),
            ("2026-01-31", "2026-01-31 00:00:00"),
            ("2026-01-31T08:00", "2026-01-31 08:00:00"),
        ],
    )
    def test_times(self, since: str, said: str) -> None:
        assert f"--since {said} " in self.words(since=since)

    def test_a_request_is_searched_as_it_is(self) -> None:
        assert self.words(request="a.b").endswith(r"--grep a\.b")

    def test_a_service_has_units_in_both_slots(self) -> None:
        assert self.words(service="portal").endswith("--unit *portal-blue* --unit *portal-green*")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"since": "soon"}, 'since: "soon" is not a time; use 10m'),
            ({"since": "--file=/etc/shadow"}, "is not a time"),
            ({"request": "a b"}, "is not a request ID; take it from the header X-Request-Id"),
            ({"request": "x" * 129}, "is not a request ID"),
            ({"service": "porta"}, 'there is no service "porta"; there are portal, portal-worker'),
        ],
    )
    def test_what_can_not_be_is_refused(self, given: dict[str, str], said: str) -> None:
        with pytest.raises(ValueError, match=r"^[^:]+: ") as refusal:
            self.words(**given)
        assert said in str(refusal.value)


class TestTheLines:
    def test_lines_of_all_hosts_are_in_the_order_of_time(self) -> None:
        found = journals.merged(
            {
                "app1": f"{line(2, 'third')}\n{line(0.5, 'first')}",
                "edge1": line(1, "second", "haproxy", "haproxy.service"),
                "data1": "",
            },
            "",
            200,
        )
        assert found == [
            "2026-12-01 11:27:52.500  app1   portal-blue  first",
            "2026-12-01 11:27:53.000  edge1  haproxy      second",
            "2026-12-01 11:27:54.000  app1   portal-blue  third",
        ]

    def test_lines_of_the_same_moment_keep_their_order(self) -> None:
        text = "\n".join(line(0, message) for message in ("b", "a", "c"))
        assert [shown[-1] for shown in journals.merged({"app1": text}, "", 9)] == ["b", "a", "c"]

    def test_the_last_lines_are_shown(self) -> None:
        text = "\n".join(line(second, str(second)) for second in range(9))
        assert [shown[-1] for shown in journals.merged({"app1": text}, "", 3)] == ["6", "7", "8"]

    def test_a_service_has_its_own_lines_and_those_of_its_jobs_only(self) -> None:
        text = "\n".join(
            [
                line(0, "own"),
                line(1, "job", "greenroom-portal-blue-job-tidy", "greenroom-portal-blue-job-tidy.service"),
                line(2, "others", "shop-portal-blue", "shop-portal-blue.service"),
                line(3, "worker", "portal-worker-blue", "portal-worker-blue.service"),
            ]
        )
        found = journals.merged({"app1": text}, "portal", 200)
        assert [shown.split()[-1] for shown in found] == ["own", "job"]

    @pytest.mark.parametrize(
        ("message", "shown"),
        [
            ([104, 105, 255], "hi\\xff"),
            (None, "(too long to show)"),
            ("a\x1b[31mb\n", "a\\x1b[31mb"),
            ("two\nlines", "two\\nlines"),
        ],
    )
    def test_each_message_is_one_line_of_text(self, message: Any, shown: str) -> None:
        assert journals.merged({"app1": line(0, message)}, "", 9)[0].endswith(f"portal-blue  {shown}")

    def test_the_search_itself_is_left_out(self) -> None:
        command = f"operator : COMMAND=/usr/bin/journalctl --grep {REQUEST}"
        text = "\n".join([line(0, command, "sudo", ""), line(1, REQUEST, "python3", ""), "no JSON", '["x"]'])
        assert journals.merged({"app1": text}, "", 200) == []
