"""Help that teaches and is quick; the list of scenarios."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from crunchbed.cli import app
from reserve_agent.errors import CrunchbedError

ROOT = Path(__file__).parents[2]

Captured = pytest.CaptureFixture[str]


def test_help_teaches_with_examples_and_names_every_command(capsys: Captured) -> None:
    assert app.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "crunchbed compare writeback-crunch" in text
    for name in ("check", "list", "run", "compare", "clean"):
        assert re.search(rf"^  {name} ", text, re.MULTILINE)
    assert app.main([]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("command", list(app._COMMANDS))
def test_every_command_has_help(command: str, capsys: Captured) -> None:
    assert app.main([command, "--help"]) == 0
    assert f"Usage: crunchbed {command}" in capsys.readouterr().out


_CHECKS = {"crunchbed.checks.judge", "crunchbed.run.engine"}
_OPTIONAL = {"crunchbed.prometheus.scraper", "crunchbed.report.timeline_picture"}


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ([], {"pydantic", "rich", "mininet", "ruamel.yaml", "crunchbed.run.engine"}),
        (["run"], _CHECKS | _OPTIONAL),
        (["compare"], _CHECKS | _OPTIONAL),
        (["judge"], _CHECKS),
    ],
)
def test_help_imports_none_of_the_machinery(command: list[str], heavy: set[str]) -> None:
    code = (
        f"import sys; import crunchbed.cli.app; crunchbed.cli.app.main({[*command, '--help']}); "
        f"sys.exit(str({heavy} & set(sys.modules) or ''))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stderr.strip() == ""


def test_commands_load_without_what_only_a_run_needs() -> None:
    """An ordinary user's environment, to judge and to compare: no Mininet, libbpf, pyroute2."""
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"mininet", "pyroute2", "nbd"}:
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Refuse())
import crunchbed.cli.bundle, crunchbed.cli.clean, crunchbed.cli.compare, crunchbed.cli.sweep
import crunchbed.cli.status, crunchbed.cli.up, crunchbed.host.requirements, crunchbed.plugin.runs
import crunchbed.checks.judge, crunchbed.scenario.loader
maps = open("/proc/self/maps").read()
assert "libbpf" not in maps
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ended.stderr.strip() == ""


def test_where_no_scenario_is_installed_list_says_so(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crunchbed.cli.list.shipped", dict)
    assert app.main(["list"]) == CrunchbedError.exit_code
    assert "the shipped scenarios are not installed" in capsys.readouterr().err


def test_list_shows_every_shipped_claim(capsys: Captured) -> None:
    assert app.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml"))
    assert "control" in names
    assert [line.split()[0] for line in lines] == names
    assert app.main(["list", "--json"]) == 0
    assert len(orjson.loads(capsys.readouterr().out)) == len(names)
