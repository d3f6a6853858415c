"""``crunchbed up --detach``: it returns when the cluster is up, or with why it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crunchbed.cli import app, detach
from crunchbed.cli.options import Options
from crunchbed.host.run_ids import RunClaim
from crunchbed.live import runs
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement


def test_it_holds_what_the_options_say() -> None:
    image, modules = Path("bzImage"), Path("/lib/modules/6.9.9")
    options = Options(
        overrides=("a=1", "b=2"), policy="none", kernel=image, modules=modules, prometheus=True
    )
    words = detach.command("control", options, Path("x"))[3:]
    expected = "up control --quiet --out x --set a=1 --set b=2 --policy none "
    expected += "--kernel bzImage --modules /lib/modules/6.9.9 --prometheus"
    assert words == expected.split()


@pytest.mark.parametrize(
    ("code", "kind"), [(2, BadInput), (4, MissingRequirement), (3, CrunchbedError)]
)
def test_a_cluster_that_does_not_come_up_is_told_in_its_own_words(
    code: int, kind: type[CrunchbedError], tmp_path: Path
) -> None:
    script = f"import sys; print('crunchbed: too bad', file=sys.stderr); sys.exit({code})"
    with pytest.raises(kind, match=r"^too bad$") as caught:
        detach.hold([sys.executable, "-c", script], tmp_path / "run", tmp_path / "run.log")
    assert caught.value.exit_code == code


def test_it_returns_once_the_run_takes_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up, script = tmp_path / "up", "import sys; open(sys.argv[1], 'w').close(); sys.stdin.read()"
    monkeypatch.setattr(runs, "live_runs", lambda: ["k3xq", "ab12"])
    place = {"ab12": (tmp_path / "run").resolve(), "k3xq": tmp_path / "other"}
    monkeypatch.setattr(runs, "directory_of", place.get)
    monkeypatch.setattr(runs, "is_held", lambda _: up.exists())
    command = [sys.executable, "-c", script, str(up)]
    assert detach.hold(command, tmp_path / "run", tmp_path / "logs" / "run.log") == "ab12"
    assert up.exists()


def test_a_command_that_comes_too_early_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunClaim.claim(tmp_path / "state") as state:
        monkeypatch.setattr(runs, "STATE_ROOT", tmp_path / "state")
        monkeypatch.setattr(runs, "directory_of", lambda *_: tmp_path)
        with pytest.raises(BadInput, match=f"run {state.run_id} is still starting"):
            runs.tell(state.run_id, "crunch")
        (tmp_path / "run.json").write_text("{}")
        with pytest.raises(BadInput, match="takes no commands"):
            runs.tell(state.run_id, "crunch")


def test_the_depth_of_a_crunch_is_a_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.main(["crunch", "n1", "--for", "1ms", "--depth", "nan"]) == 2
    assert "--depth: expected a number from 0 to 1, got nan" in capsys.readouterr().err
