"""Runs whose nodes are machines: their kernel and card, from the history to every table."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.experiments.baseline import Baseline, differs
from crunchbed.experiments.comparison import compare
from crunchbed.report.html import run_page
from crunchbed.report.html.source import Recorded
from crunchbed.report.table import open_console, print_comparison, print_run
from crunchbed.scenario.schema import Scenario
from crunchbed.store.database import opened
from reserve_agent.contract.events.run import RunInfo
from tests.unit import judged_runs

RELEASE = "6.9.9-own"
MACHINES = {"cluster.backend": "machines", "memory.nic": "vmxnet3"}


def scenario(policy: str = "memalloc") -> Scenario:
    return judged_runs.scenario(policy).with_overrides(MACHINES)


def result_on(kernel: str, policy: str = "memalloc") -> Result:
    recording = judged_runs.good_run()
    for node in ("n1", "n2", "n3"):
        recording.add(40, "guest.ready", node, kernel=kernel, uptime_ns=7 * 10**9)
    return judge(recording.history(), scenario(policy))


def test_a_result_names_the_kernel_that_booted_and_the_card() -> None:
    result = result_on(RELEASE)
    assert (result.kernel, result.nic) == (RELEASE, "vmxnet3")
    assert result.versions["kernel"] == "6.1", "the host's"


def test_namespaces_have_a_profile() -> None:
    result = judged_runs.result_of(judged_runs.good_run())
    assert (result.kernel, result.nic) == ("profile proposal-2005", None)


def test_a_result_says_what_the_nodes_are_made_of_and_which_switch_they_had() -> None:
    result = result_on(RELEASE)
    assert (result.backend, result.switch) == ("machines", "linux-bridge")
    result = judged_runs.result_of(judged_runs.good_run())
    assert (result.backend, result.switch) == ("namespaces", "linux-bridge")
    result = Result.not_measured(scenario(), 1, "no guest came up")
    assert (result.backend, result.switch) == ("machines", "unknown")


@pytest.mark.parametrize(
    ("info", "switch"),
    [
        (RunInfo(), None),
        (RunInfo(backend="ovs", format=2), "ovs"),
        (RunInfo(backend="namespaces", switch="ovs", format=3), "ovs"),
    ],
)
def test_a_history_of_any_format_says_which_switch_there_was(
    info: RunInfo, switch: str | None
) -> None:
    assert info.kind_of_switch == switch


@pytest.mark.parametrize("machines", [True, False])
def test_a_result_that_has_the_switch_as_its_backend_is_read(
    machines: bool, tmp_path: Path
) -> None:
    path = tmp_path / "result.json"
    made = result_on(RELEASE) if machines else judged_runs.result_of(judged_runs.good_run())
    made.write(path)
    written = orjson.loads(path.read_bytes())
    written["backend"] = written.pop("switch")
    path.write_bytes(orjson.dumps(written))
    assert Result.read(path) == made


def test_a_run_that_did_not_boot_has_a_card_and_no_kernel() -> None:
    result = Result.not_measured(scenario(), 1, "no guest came up")
    assert (result.kernel, result.nic) == (None, "vmxnet3")


def test_a_result_of_before_these_fields_is_read(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = judged_runs.result_of(judged_runs.good_run())
    result.write(path)
    written = orjson.loads(path.read_bytes())
    assert (written.pop("kernel"), written.pop("nic")) == ("profile proposal-2005", None)
    path.write_bytes(orjson.dumps(written))
    assert Result.read(path) == result.model_copy(update={"kernel": None})


def test_the_report_has_them_as_facts() -> None:
    result = result_on(RELEASE)
    run = Recorded("memalloc", scenario(), judged_runs.good_run().history(), result)
    facts = dict(run_page.content(run)["facts"])
    assert (facts["kernel"], facts["card"]) == (RELEASE, "vmxnet3")
    facts = run_page.guests([judged_runs.result_of(judged_runs.good_run())])
    assert facts == [("kernel", "profile proposal-2005")]
    both = run_page.guests([result, result_on("6.12.1"), result])
    assert both == [("kernel", f"{RELEASE}, 6.12.1"), ("card", "vmxnet3")]


def test_tables_say_what_the_machines_were(capsys: pytest.CaptureFixture[str]) -> None:
    print_run(open_console(), result_on(RELEASE), scenario())
    said = f"machines: Linux {RELEASE} with vmxnet3"
    assert said in capsys.readouterr().out.splitlines()
    runs = [result_on(RELEASE, policy) for policy in ("none", "memalloc")]
    print_comparison(open_console(), compare(scenario(), runs), scenario())
    assert said in capsys.readouterr().out.splitlines()
    print_run(open_console(), judged_runs.result_of(judged_runs.good_run()), scenario())
    assert "machines: " not in capsys.readouterr().out


def test_a_query_finds_them(tmp_path: Path) -> None:
    for name, result in (
        ("a", result_on(RELEASE)),
        ("b", judged_runs.result_of(judged_runs.good_run())),
    ):
        (tmp_path / name).mkdir()
        result.write(tmp_path / name / "result.json")
    with opened(tmp_path) as database:
        query = "SELECT backend, switch, kernel, nic, host_kernel FROM runs ORDER BY path"
        found = database.ask(query).rows
    assert found == [
        ("machines", "linux-bridge", RELEASE, "vmxnet3", "6.1"),
        ("namespaces", "linux-bridge", "profile proposal-2005", None, "6.1"),
    ]


def test_a_baseline_of_another_kernel_is_told() -> None:
    before = [result_on("6.9.8-own").model_copy(update={"seed": seed}) for seed in range(1, 6)]
    then = Baseline.of("nightly", scenario(), before, datetime.now(UTC))
    assert f"machines' kernel 6.9.8-own then, {RELEASE} now" in differs(then, [result_on(RELEASE)])
    assert not [word for word in differs(then, before) if "kernel" in word]


def test_a_baseline_of_another_backend_or_switch_is_told() -> None:
    before = [result_on(RELEASE).model_copy(update={"seed": seed}) for seed in range(1, 6)]
    then = Baseline.of("nightly", scenario(), before, datetime.now(UTC))
    now = before[0].model_copy(update={"backend": "namespaces", "switch": "ovs"})
    told = differs(then, [now])
    assert "backend machines then, namespaces now" in told
    assert "switch linux-bridge then, ovs now" in told
