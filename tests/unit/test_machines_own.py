"""``--kernel``: which name a kernel of the user's own gets, and how it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crunchbed.backends.machines import own
from crunchbed.backends.machines.own import OwnKernel, prepare
from crunchbed.backends.machines.requirements import needed_by
from crunchbed.cli import app
from crunchbed.cli.options import Options
from crunchbed.host.probes.machine import Seen
from crunchbed.host.requirements import Requirement, missing, require, requirement
from crunchbed.scenario.loader import load
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement

NAME = "own-6.9.9-0a1b2c3d"
KERNEL = OwnKernel(Path("vmlinuz"), Path("/lib/modules/6.9.9"))


@pytest.fixture(autouse=True)
def root_and_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has both."""
    monkeypatch.setattr(own, "require", lambda _wanted: None)


def script(folder: Path, text: str) -> Path:
    """Return a script in place of ``scripts/machines.sh``."""
    path = folder / "machines.sh"
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_script_names_the_kernel_and_says_what_it_does(tmp_path: Path) -> None:
    said: list[str] = []
    text = f"""
        echo "machines: building" >&2
        printf '%s\\n' "$@" > {tmp_path}/given
        echo {NAME}
    """
    assert prepare(KERNEL, said.append, script(tmp_path, text)) == NAME
    assert said == ["building"]
    image, modules = Path("vmlinuz").absolute(), "/lib/modules/6.9.9"
    assert (tmp_path / "given").read_text().split() == ["-", str(image), modules]


@pytest.mark.parametrize(
    ("code", "kind"), [(2, BadInput), (4, MissingRequirement), (1, MissingRequirement)]
)
def test_what_the_script_refuses_is_one_line(
    code: int, kind: type[CrunchbedError], tmp_path: Path
) -> None:
    words = "failed: make (all output: /x/log)"
    said = ("machines: begun", "    gcc: no", f"machines: {words}")
    text = "\n".join([*(f"echo '{line}' >&2" for line in said), f"exit {code}"])
    with pytest.raises(kind) as caught:
        prepare(KERNEL, lambda _: None, script(tmp_path, text))
    assert str(caught.value) == f"--kernel: {words}"


def test_options_put_the_kernel_into_the_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[OwnKernel] = []

    def prepared(kernel: OwnKernel, _say: object) -> str:
        asked.append(kernel)
        return NAME

    monkeypatch.setattr(own, "prepare", prepared)
    options = Options(
        backend="machines", kernel=KERNEL.image, modules=KERNEL.modules, headers=Path("h")
    )
    scenario = options.scenario("control")
    assert scenario.memory.kernel == NAME
    assert scenario.resolved()["memory"]["kernel"] == NAME
    assert asked == [OwnKernel(KERNEL.image, KERNEL.modules, Path("h"))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kernel", "x", "--modules", "y"], "--kernel: expected --backend machines, whose nodes"),
        (
            ["--kernel", "x", "--backend", "machines"],
            "--kernel: expected its --modules, as /lib/mo",
        ),
        (["--modules", "y", "--backend", "machines"], "--modules, --headers: expected --kernel IM"),
        (["--headers", "y", "--backend", "machines"], "--modules, --headers: expected --kernel IM"),
    ],
)
@pytest.mark.parametrize("command", ["run", "compare", "sweep", "up"])
def test_options_that_do_not_go_together(
    command: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main([command, "control", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"crunchbed: {message}")


def test_a_file_that_is_no_kernel_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRUNCHBED_MACHINES", str(tmp_path / "machines"))
    image = tmp_path / "notes.txt"
    image.write_text("no kernel")
    given = ["--kernel", str(image), "--modules", str(tmp_path)]
    assert app.main(["run", "control", "--backend", "machines", "--quiet", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"crunchbed: --kernel: {image}: not a kernel image (a bzImage, as vmlinuz is)"


def test_without_qemu_it_is_said_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Requirement:
        seen = Seen(present=name != "qemu", detail="not found")
        return replace(requirement(name), probe=lambda _machine: seen)

    monkeypatch.setattr(own, "require", require)
    monkeypatch.setattr(own, "requirement", absent)
    with pytest.raises(MissingRequirement, match=r"lacks qemu \(not found; make machines\)"):
        prepare(KERNEL, lambda _: None, Path("/nowhere"))


def test_a_kernel_of_another_machine_comes_with_the_option() -> None:
    scenario = load("control").with_overrides(
        {"cluster.backend": "machines", "memory.kernel": NAME}
    )
    found = missing([one for one in needed_by(scenario) if one.name.startswith("kernel ")])
    assert [one.remedy for one in found] == ["--kernel IMAGE --modules DIR"]
