# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What services ask of a canary: steps, limits of their own, and queries to Prometheus."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import figures, queries, services, traffic
from ansible.module_utils.greenroom.canary.limits import Limits
from ansible.module_utils.greenroom.controller.canary import settings, step
from ansible.module_utils.greenroom.controller.catalogue import catalogue, service_checks, service_schema
from canary_rows import LIMITS, PLAN, counted, probed
from canary_rows import traffic as logged
from edge_log import entry
from fake_journal import FakeJournal
from webserver import Asked, Reply, serve


def catalog(**canaries: Any) -> dict[str, Any]:
    """The catalog with these `canary` keys, by service; each service has a route of its name."""
    raw = {
        "ports": {"http": {"container": 8080, "from": ["edge"]}},
        "health": {"port": "http", "path": "/ready"},
    }
    return {
        name: catalogue.normalise(
            name, {**raw, "image": name, "routes": [{"path": f"/{name}"}], "canary": given}, f"/services/{name}"
        )
        for name, given in canaries.items()
    }


# Steps


@pytest.mark.parametrize(
    ("canaries", "steps", "seconds"),
    [
        ({"shop": {}, "blog": None}, [], 60),
        ({"shop": {"steps": [5, "pause", 50], "step_seconds": 300}}, [5, "pause", 50], 300),
        # A cutover moves all services together, so it is as careful as any of them asks for.
        (
            {"shop": {"steps": [5, 50], "step_seconds": 120}, "blog": {"steps": [25, 50, "pause"], "step_seconds": 30}},
            [5, 25, 50, "pause"],
            120,
        ),
    ],
)
def test_a_cutover_takes_the_steps_of_all_services(canaries: Any, steps: list[Any], seconds: int) -> None:
    found = catalog(**canaries)
    assert (settings.steps(found), settings.step_seconds(found)) == (steps, seconds)


# Rules


@pytest.mark.parametrize(
    ("canary", "line"),
    [
        ({"steps": [0]}, "canary.steps=[0]: weights must be percentages from 1 to 99, as in canary.steps=5,25,50"),
        ({"steps": ["pause"]}, "canary.steps=['pause']: a pause must follow a weight, as in canary.steps=5,pause,50"),
        (
            {"queries": [{"name": "jobs", "query": "jobs{slot='$slot'}"}]},
            "canary.queries[0]: needs exactly one of above, below",
        ),
        (
            {"queries": [{"name": "jobs", "query": "jobs{slot='$slot'}", "above": 1, "below": 0}]},
            "canary.queries[0]: needs exactly one of above, below",
        ),
    ],
)
def test_mistakes_between_keys_are_found(canary: Any, line: str) -> None:
    problems = service_checks.problems(catalog(shop=canary), {"app": ["app1"], "edge": ["edge1"]}, ["default"])
    assert problems == [("shop", line)]


@pytest.mark.parametrize(
    ("canary", "line"),
    [
        ({"limits": {"alpha": 1}}, "canary.limits.alpha: 1 is too large; it must be below 1"),
        ({"limits": {"metric_drop": 0}}, "canary.limits.metric_drop: 0 is too small; it must be above 0"),
        ({"limits": {"latency_ms": "fast"}}, 'canary.limits.latency_ms: expected a number, got "fast"'),
        ({"limits": {"minimum": 0}}, "canary.limits.minimum: 0 is too small; the minimum is 1"),
        ({"limits": {"error_margim": 1}}, 'canary.limits.error_margim: unknown key; did you mean "error_margin"?'),
        ({"step_seconds": 0}, "canary.step_seconds: 0 is too small; the minimum is 1"),
        (
            {"queries": [{"name": "jobs", "query": "sum(jobs)", "above": 1}]},
            'canary.queries[0].query: "sum(jobs)" is not a query with $slot, which stands for the candidate\'s slot',
        ),
    ],
)
def test_mistakes_in_a_key_are_found(canary: Any, line: str) -> None:
    assert service_schema.structure_errors({"image": "shop", "canary": canary}) == [line]


def test_the_limits_of_a_service_are_those_of_a_verdict() -> None:
    known = service_schema.SCHEMA["properties"]["canary"]["properties"]["limits"]["properties"]
    assert set(known) == {field.name for field in dataclasses.fields(Limits)}
    usual = dataclasses.asdict(LIMITS)
    assert service_schema.structure_errors({"image": "shop", "canary": {"limits": usual}}) == []


# Limits of their own

CATALOG = catalog(
    shop={"limits": {"error_margin": 0.001}}, blog={"probes": ["/blog", "/shop/ready?x=/blog"]}, wiki=None
)


def test_only_services_with_limits_of_their_own_are_judged_apart() -> None:
    assert settings.limits(CATALOG) == {"shop": {"error_margin": 0.001}}
    assert settings.backends(CATALOG) == {"shop_http": "shop"}
    paths = ["/blog", "/shop", "/shop/ready?x=/blog", "/shopping", "/"]
    assert settings.probed(CATALOG, paths) == {"/shop": "shop", "/shop/ready?x=/blog": "shop"}


def test_requests_are_counted_by_service(tmp_path: Any) -> None:
    journal = FakeJournal(tmp_path)
    journal.write(
        entry(),
        entry(backend="blog_http_green"),
        entry(backend="shop_http_blue", slot="blue", chosen="live", status=500),
        # It came to the live slot in place of the candidate.
        entry(backend="shop_http_blue", slot="blue", chosen="instead"),
        entry(backend="nowhere", server="<NOSRV>", status=404),
    )
    log = traffic.Journal(f"{tmp_path}/journalctl", "haproxy")
    after = {"place": "", "dropped": {}}
    result = traffic.read(log, lambda _command: {}, after=after, backends=settings.backends(CATALOG))
    own, rest = result["services"]["shop"], result["slots"]
    assert {slot: (own[slot]["requests"], own[slot]["failed"]) for slot in own} == {"blue": (1, 1), "green": (2, 1)}
    assert {slot: (rest[slot]["requests"], rest[slot]["refused"]) for slot in rest} == {"blue": (0, 0), "green": (2, 1)}


def judged(own: services.Own, shop: tuple[Any, Any], rest: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    """The verdict on an interval; the pairs are public requests to (live slot, candidate)."""
    seen = logged(blue=rest[0], green=rest[1])
    seen["edge1"]["services"] = {"shop": {"blue": shop[0], "green": shop[1]}}
    result: dict[str, Any] = step.begun(None, PLAN)
    return dict(step.continued(result, probed(**more), seen, {}, LIMITS, own=own))


GOOD = (counted(2000), counted(2000))
SOME = (counted(2000), counted(2000, failed=15))


def test_a_strict_limit_of_a_service_concerns_only_its_requests() -> None:
    strict = {"shop": {"error_margin": 0.001}}
    assert judged(strict, shop=GOOD, rest=SOME)["verdict"] == "pass"
    result = judged(strict, shop=SOME, rest=GOOD)
    assert result["reasons"] == ["shop: 15 of 2000 failed (public; live: 0 of 2000)"]
    assert judged({}, shop=SOME, rest=GOOD)["verdict"] == "pass"


def test_a_service_with_a_loose_limit_may_fail_more_often() -> None:
    bad = (counted(1000), counted(1000, failed=60))
    assert judged({"shop": {"error_margin": 0.1}}, shop=bad, rest=GOOD)["verdict"] == "pass"
    assert judged({}, shop=bad, rest=(figures.empty(), figures.empty()))["verdict"] == "fail"
    assert judged({"shop": {"error_margin": 0.1}}, shop=GOOD, rest=bad)["reasons"] == [
        "60 of 1000 failed (public; live: 0 of 1000)"
    ]


def test_a_verdict_shows_the_figures_of_all_services_together() -> None:
    result = judged({"shop": {"alpha": 0.01}}, shop=(counted(10), counted(5)), rest=(counted(7), counted(3)))
    assert [result["figures"]["public"][side]["requests"] for side in ("live", "candidate")] == [17, 8]
    assert "public 8 (17)" in result["line"]


def test_all_requests_together_are_enough_unless_a_service_wants_more() -> None:
    few = (counted(30), counted(30))
    silent = {"probes": {"live": figures.empty(), "candidate": figures.empty()}}
    assert judged({"shop": {"alpha": 0.01}}, shop=few, rest=few, **silent)["verdict"] == "pass"
    result = judged({"shop": {"minimum": 40}}, shop=few, rest=few, **silent)
    assert result["verdict"] == "no data"
    assert result["reasons"] == [
        "shop: too few requests to compare in this step (30 of public and 0 of probes; each slot needs 40)"
    ]


def test_a_problem_of_a_process_is_reported_once() -> None:
    row: dict[str, Any] = {"host": "app1", "metric": None, "memory": None, "limit": 0, "unread": []}
    rows = [{"service": name, "problems": [f"{name} was restarted"], **row} for name in ("shop", "blog")]
    result = judged({"shop": {"alpha": 0.01}}, GOOD, GOOD, watched={"live": [], "candidate": rows})
    assert result["reasons"] == ["blog was restarted", "shop: shop was restarted"]


def test_each_services_metric_has_its_own_limit() -> None:
    def rows(orders: float, posts: float) -> list[dict[str, Any]]:
        row: dict[str, Any] = {"host": "app1", "memory": None, "limit": 0, "unread": [], "problems": []}
        return [{"service": name, "metric": metric, **row} for name, metric in (("shop", orders), ("blog", posts))]

    watched = {"live": rows(100, 100), "candidate": rows(70, 70)}
    assert judged({"shop": {"alpha": 0.01}}, GOOD, GOOD, watched=watched)["verdict"] == "pass"
    assert judged({"shop": {"metric_drop": 0.1}}, GOOD, GOOD, watched=watched)["verdict"] == "pass"
    watched = {"live": rows(400, 400), "candidate": rows(280, 280)}
    result = judged({"shop": {"metric_drop": 0.1}}, GOOD, GOOD, watched=watched)
    assert result["reasons"] == ["shop: the business metric rose by 280, but by 400 at the live slot's rate"]


def test_a_baseline_has_the_requests_of_each_service() -> None:
    seen = logged(blue=counted(500))
    seen["edge1"]["services"] = {"shop": {"blue": counted(500), "green": figures.empty()}}
    result = step.opened(step.begun(None, {**PLAN, "weight": 100}), seen, {}, 600)
    now = logged(green=counted(500))
    now["edge1"]["services"] = {"shop": {"blue": figures.empty(), "green": counted(500, failed=30)}}
    result = step.continued(result, probed(), now, {}, LIMITS, own={"shop": {"error_margin": 0.001}})
    assert result["reasons"] == ["shop: 30 of 500 failed (public; live: 0 of 500)"]


# Queries

QUERY = {"service": "shop", "name": "waiting jobs", "query": 'jobs{slot="green"}'}


def asked(reply: Any, **limit: float) -> tuple[dict[str, Any], list[Asked]]:
    answer = reply if isinstance(reply, Reply) else Reply(200, json.dumps(reply))
    with serve(lambda _asked: answer) as site:
        (row,) = queries.rows(site.url, [{**QUERY, **limit}])
        return row, site.asked


def vector(*values: str) -> dict[str, Any]:
    series = [{"metric": {"host": str(number)}, "value": [1, value]} for number, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


@pytest.mark.parametrize(
    ("reply", "limit", "problems"),
    [
        (vector("3", "7"), {"above": 7}, []),
        (vector("3", "7.5"), {"above": 7}, ["waiting jobs of shop is 7.5, above 7"]),
        (vector("3", "7"), {"below": 3}, []),
        (vector("3", "7"), {"below": 4}, ["waiting jobs of shop is 3, below 4"]),
        (vector("+Inf"), {"above": 7}, ["waiting jobs of shop is inf, above 7"]),
        (
            {"status": "success", "data": {"resultType": "scalar", "result": [1, "9"]}},
            {"above": 7},
            ["waiting jobs of shop is 9, above 7"],
        ),
    ],
)
def test_a_value_beyond_its_limit_is_a_problem(reply: Any, limit: Any, problems: list[str]) -> None:
    row, (request,) = asked(reply, **limit)
    assert (row["problems"], row["unread"], row["service"]) == (problems, [], "shop")
    assert (request.path, request.query) == ("/api/v1/query", {"query": ['jobs{slot="green"}']})


@pytest.mark.parametrize(
    "reply",
    [
        vector(),
        vector("3", "NaN"),
        Reply(400, '{"status": "error", "error": "parse error"}'),
        Reply(503, "starting"),
        {"status": "success", "data": {"resultType": "matrix", "result": [{"values": [[1, "2"]]}]}},
        [],
    ],
)
def test_no_value_is_no_pass(reply: Any) -> None:
    row, _asked = asked(reply, above=7)
    assert (row["problems"], row["unread"]) == ([], ["waiting jobs of shop from Prometheus"])
    result = judged({}, GOOD, GOOD, watched={"live": [], "candidate": [row]})
    assert (result["verdict"], result["reasons"]) == ("no data", ["can't read waiting jobs of shop from Prometheus"])


def test_a_prometheus_that_is_down_is_no_pass() -> None:
    (row,) = queries.rows("http://127.0.0.1:1", [{**QUERY, "above": 7}])
    assert row["unread"] == ["waiting jobs of shop from Prometheus"]


def test_a_query_asks_about_the_candidate() -> None:
    query = {"name": "waiting jobs", "query": 'jobs{slot="$slot"}', "above": 7}
    found = settings.queries(catalog(shop={"queries": [query]}, blog=None), "green")
    assert found == [{**QUERY, "above": 7}]
