"""Expectations: the form, the names, and true, false or not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crunchbed.checks.figures import NAMES, PHASE_NAMES, Figures, PhaseFigures
from crunchbed.expect import evaluate, parse, steady_outcomes
from crunchbed.expect.evaluate import applies_to
from crunchbed.expect.grammar import steady
from reserve_agent.errors import BadInput


def phase(p99: float, acknowledged: int) -> PhaseFigures:
    zeros = dict.fromkeys(PHASE_NAMES, 0)
    figures = {"phase_seconds": 2.0, "writes_acknowledged": acknowledged, "io_p99_seconds": p99}
    rate = {"writes_per_second": acknowledged / 2.0}
    return PhaseFigures.model_validate(zeros | figures | rate)


PHASES = {"before": phase(0.02, 200), "during": phase(0.1, 10), "after": phase(0.03, 200)}
TOTALS = {
    "none": Figures(nodes_ejected=1, io_p99_seconds=2.0, writes_lost=0, heartbeats_missed=40),
    "memalloc": Figures(
        nodes_ejected=0,
        io_p99_seconds=0.1,
        writes_lost=0,
        heartbeats_sent=100,
        phases=PHASES,
        reserve_low_water_pages=190,
    ),
}


def holds(text: str, policies: tuple[str, ...] = ("none", "memalloc")) -> bool | None:
    return evaluate([text], {name: TOTALS[name] for name in policies})[0].holds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none.nodes_ejected >= 1", True),
        ("none.nodes_ejected > 1", False),
        ("memalloc.nodes_ejected == 0", True),
        ("memalloc.nodes_ejected != 0", False),
        ("memalloc.io_p99_seconds < none.io_p99_seconds / 10", True),
        ("memalloc.io_p99_seconds < none.io_p99_seconds / 20", False),
        ("memalloc.io_p99_seconds <= none.io_p99_seconds / 20", True),
        ("none.io_p99_seconds == 2s", True),
        ("none.io_p99_seconds < 2000ms", False),
        ("none.io_p99_seconds < 2000.5ms", True),
        ("none.heartbeats_missed / 2 + 3 * 4 - 1 == 31", True),
        ("none.heartbeats_missed - 30 - 5 == 5", True),
        ("none.heartbeats_missed / 4 / 5 == 2", True),
        ("(none.heartbeats_missed - 30) * 2 == 20", True),
        ("-none.nodes_ejected == -1", True),
        ("1 <= none.nodes_ejected", True),
        ("none.misses_by_cause.unknown == 0", True),
        ("misses_by_cause.unknown == 0", True),
        ("memalloc.reserve_low_water_pages >= 64pages", True),
        ("memalloc.reserve_low_water_pages >= 1MiB", False),
        ("memalloc.reserve_low_water_pages * 2 > 128 + 0.25MiB", True),
        ("none.heartbeats_missed / none.io_p99_seconds == 20", True),
        ("memalloc.after.io_p99_seconds < 2 * memalloc.before.io_p99_seconds", True),
        ("memalloc.during.io_p99_seconds == 100ms", True),
        ("memalloc.after.writes_per_second * 2s >= memalloc.before.writes_acknowledged", True),
    ],
)
def test_a_comparison_is_judged(text: str, *, expected: bool) -> None:
    assert holds(text) is expected


def test_an_unqualified_name_holds_for_every_policy_or_not_at_all() -> None:
    assert holds("writes_lost == 0") is True
    assert holds("nodes_ejected == 0") is False
    assert holds("nodes_ejected == 0", ("memalloc",)) is True
    # Mixed: each policy against none.
    assert holds("io_p99_seconds <= none.io_p99_seconds") is True
    assert holds("io_p99_seconds < none.io_p99_seconds") is False


def test_what_was_not_run_or_not_measured_is_not_known() -> None:
    assert holds("none.nodes_ejected >= 1", ("memalloc",)) is None
    assert holds("memalloc.io_p50_seconds < 1s") is None
    assert holds("writes_lost == 0", ()) is None
    assert holds("memalloc.heartbeats_sent / memalloc.nodes_ejected > 1") is None


def test_one_refuting_policy_outweighs_an_unknown_one() -> None:
    totals = {"none": Figures(io_p99_seconds=None), "memalloc": Figures(io_p99_seconds=3.0)}
    assert evaluate(["io_p99_seconds < 1s"], totals)[0].holds is False


def test_the_values_that_decided_are_told() -> None:
    outcome = evaluate(["memalloc.io_p99_seconds < none.io_p99_seconds / 10"], TOTALS)[0]
    assert outcome.values == {"memalloc.io_p99_seconds": 0.1, "none.io_p99_seconds": 2.0}
    assert outcome.shown == "memalloc.io_p99_seconds = 0.1, none.io_p99_seconds = 2"
    lacking = evaluate(["none.nodes_ejected == 0"], {})[0]
    assert lacking.shown == "none.nodes_ejected = nothing"


def test_a_run_of_one_policy_decides_what_names_no_other() -> None:
    assert applies_to("writes_lost == 0", "none")
    assert applies_to("none.nodes_ejected >= 1", "none")
    assert not applies_to("none.nodes_ejected >= 1", "memalloc")
    assert not applies_to("memalloc.io_p99_seconds < none.io_p99_seconds", "memalloc")


def test_a_phase_that_the_run_never_had_is_not_known() -> None:
    assert holds("none.after.io_p99_seconds < 1s") is None


def test_what_is_steady_is_judged_before_and_after() -> None:
    texts = ["io_p99_seconds <= 20ms", "writes_per_second >= 100"]
    before, after = steady_outcomes(texts, "memalloc", TOTALS["memalloc"])
    assert [one.holds for one in before] == [True, True]
    assert [one.holds for one in after] == [False, True]
    assert after[0].text == "after: io_p99_seconds <= 20ms"
    assert after[0].values == {"memalloc.after.io_p99_seconds": 0.03}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("none.io_errors == 0", "which names the policy none"),
        ("writes_lost == 0", "writes_lost is no figure; known: phase_seconds"),
        ("before.io_errors == 0", "which names a phase: before.io_errors"),
    ],
)
def test_what_is_steady_names_figures_of_a_phase_and_nothing_else(
    text: str, complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint):
        steady(text, "before")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("writes_losst == 0", "writes_losst is no figure (did you mean writes_lost?)"),
        ("packets == 0", "packets is no figure"),
        ("misses_by_cause == 0", "misses_by_cause is no figure"),
        ("misses_by_cause.moon == 0", "misses_by_cause.moon is no figure"),
        (
            "nonesuch.writes_lost == 0",
            "nonesuch is no policy; known: none, softnet, memalloc, mempool, critical",
        ),
        (
            "memaloc.writes_lost == 0",
            "memaloc is no policy; known: none, softnet, memalloc, mempool, critical (did you mean",
        ),
        ("none == 0", "none is no figure"),
        ("writes_lost", "not understood at its end"),
        ("writes_lost = 0", "not understood at '= 0'"),
        ("0 < writes_lost < 5", "not understood at '< 5'"),
        ("writes_lost == 0 and true", "not understood at 'and true'"),
        ("__import__('os')", "not understood at"),
        ("writes_lost == (1", "not understood at its end"),
        ("writes_lost == 5parsecs", "5parsecs is not a number or a duration"),
        ("writes_lost == 0.5ns", "a duration such as"),
        ("1 == 1", "which names no figure"),
        ("", "not understood"),
        ("heartbeats_missed < 200ms", "counts are compared with seconds"),
        ("io_p99_seconds + nodes_ejected < 3", "seconds are added to counts"),
        ("reserve_pages < 4 * io_p99_seconds", "pages are compared with seconds"),
        ("nodes_ejected / io_p99_seconds < 3pages", "counts per seconds are compared with pages"),
        ("reserve_pages == 100B", "100B is not a multiple of a page, 4KiB"),
        ("after.packets == 0", "packets is no figure of the phase after; known: phase_seconds"),
        ("before.io_errorss == 0", "is no figure of the phase before (did you mean io_errors?)"),
        ("after == 0", "nothing is no figure of the phase after"),
        ("afterwards.io_errors == 0", "afterwards is no policy"),
        ("-" * 200 + "writes_lost == 0", "one of 216 characters, over 200"),
    ],
)
def test_what_is_no_expectation_is_one_line(text: str, complaint: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "none.misses_by_cause.allocation_failure + none.misses_by_cause.stalled_sender"
        f" >= 0.95 * none.heartbeats_mis{'9' * 30}sed",
        f"misses_by_cause.loss >= 0.95 * heartb0x{'f' * 60}eats_missed",
        f"after.{'x' * 190} > 0",
        f"{'x' * 90}.{'y' * 90} > 0",
        f"n1.view_changes{'x' * 150} > 0",
    ],
)
def test_a_long_name_is_not_repeated_whole(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert len(str(caught.value)) < 525


def test_the_deepest_expectation_allowed_is_judged() -> None:
    minuses = "-" * 184
    assert evaluate([f"{minuses}writes_lost == 0"], TOTALS)[0].holds is True
    nested = "(" * 90 + "writes_lost" + ")" * 90 + " == 0"
    assert evaluate([nested], TOTALS)[0].holds is True


@given(st.sampled_from(NAMES), st.sampled_from(["", "none.", "memalloc."]))
def test_every_public_figure_can_be_expected(name: str, prefix: str) -> None:
    assert [found.figure for found in parse(f"{prefix}{name} >= 0").names()] == [name]


_NUMBERS = st.integers(1, 20).map(str)
_SUMS = st.recursive(
    _NUMBERS | st.just("heartbeats_missed"),
    lambda inner: st.builds(
        lambda left, op, right, wrap: f"({left}{op}{right})" if wrap else f"{left} {op} {right}",
        inner,
        st.sampled_from("+-*"),
        inner,
        st.booleans(),
    ),
    max_leaves=8,
)


@given(_SUMS, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), _SUMS)
def test_arithmetic_binds_as_in_python(left: str, comparison: str, right: str) -> None:
    text = f"{left} {comparison} {right} + heartbeats_missed"
    if len(" ".join(text.split())) <= 200:
        meant = eval(text, {"heartbeats_missed": 40})  # noqa: S307 - the oracle, on our own text
        assert holds(text, ("none",)) is meant


def test_messages_are_bounded_however_much_they_are_about() -> None:
    with pytest.raises(BadInput) as caught:
        parse(f"{'a' * 190} == 0")
    assert len(str(caught.value)) < 1000
    assert str(caught.value).endswith(" more in docs/scenario-format.md")
    many = " + ".join(("io_errors", "flaps", "failovers", "writes_lost", "true_ejections")) + " < 9"
    (outcome,) = evaluate([many], TOTALS)
    assert outcome.shown.count(" = ") == 8
    assert outcome.shown.endswith(" and 2 more")


NODES = {
    "none": {"n1": Figures(heartbeats_missed=40, nodes_ejected=1), "n2": Figures()},
    "memalloc": {"n1": Figures(heartbeats_missed=0, io_p99_seconds=0.1), "n2": Figures(flaps=2)},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n2.heartbeats_missed == 0", True),
        ("n1.heartbeats_missed == 0", False),  # of every policy
        ("memalloc.n1.heartbeats_missed == 0", True),
        ("none.n1.misses_by_cause.link == 0", True),
        ("none.n1.heartbeats_missed == none.heartbeats_missed", True),
        ("memalloc.n1.io_p99_seconds < 200ms", True),
        ("memalloc.n2.io_p99_seconds < 200ms", None),  # wrote nothing
        ("n9.heartbeats_missed == 0", None),  # no such node in the runs
        ("softnet.n1.heartbeats_missed == 0", None),  # no such run
        ("memalloc.nodes_ejected == 1 or none.nodes_ejected == 1", True),
        ("memalloc.nodes_ejected == 1 or none.nodes_ejected == 0", False),
        ("softnet.nodes_ejected == 1 or none.nodes_ejected == 1", True),
        ("none.nodes_ejected == 1 or softnet.nodes_ejected == 1", True),
        ("softnet.nodes_ejected == 1 or none.nodes_ejected == 0", None),
        ("none.nodes_ejected == 5 or softnet.flaps == 0 or memalloc.n2.flaps == 2", True),
        ("nodes_ejected == 0 or heartbeats_missed == 40", True),  # one or the other of each policy
        ("nodes_ejected == 0 or heartbeats_missed == 0", False),
    ],
)
def test_figures_of_one_node_and_comparisons_joined_by_or(text: str, expected: bool | None) -> None:
    assert evaluate([text], TOTALS, NODES)[0].holds is expected


def test_an_outcome_names_the_node_of_each_figure() -> None:
    outcome = evaluate(["n1.flaps == 0 or none.flaps == 0"], TOTALS, NODES)[0]
    assert outcome.shown == "none.n1.flaps = 0, none.flaps = 0, memalloc.n1.flaps = 0"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("n1.after.io_errors == 0", "after.io_errors is a figure of all nodes, and n1 has none"),
        ("n1.quorum_lost_seconds == 0", "quorum_lost_seconds is a figure of all nodes, and n1 has"),
        ("n1.heartbeats == 0", "heartbeats is no figure"),
        ("n1 == 0", "n1 is no figure"),
        ("n0.flaps == 0", "n0 is no policy"),
        ("n1.none.flaps == 0", "none.flaps is no figure"),
        ("flaps == 0 or", "not understood at its end"),
        ("or flaps == 0", "not understood"),
        ("flaps == 0 or 1 == 1", "which names no figure"),
        ("flaps == 0 or io_errors", "not understood at its end"),
        ("flaps == 0 or io_p99_seconds < 5pages", "where seconds are compared with pages"),
        ("flaps == 0 or io_errors / 0 == 0", "which divides by 0"),
        ("flaps == 0 orio_errors == 0", "not understood at 'orio_errors == 0'"),
        ("(flaps == 0) or io_errors == 0", "not understood at '== 0) or io_errors ="),
    ],
)
def test_what_is_said_wrongly_of_nodes_and_of_or_is_one_line(text: str, complaint: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert complaint in str(caught.value)


def test_what_is_steady_is_so_of_all_nodes() -> None:
    with pytest.raises(BadInput, match="which names the node n1"):
        steady("n1.io_errors == 0", "before")
    before, after = steady_outcomes(
        ["io_errors == 5 or writes_acknowledged == 200"], "memalloc", TOTALS["memalloc"]
    )
    assert (before[0].holds, after[0].holds) == (True, True)
