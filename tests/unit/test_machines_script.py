"""``scripts/machines.sh`` refuses a kernel that no module fits, before it makes anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "machines.sh"
RELEASE = "6.9.9-test"


def image(release: str) -> bytes:
    """Return the begin of a bzImage, as far as the release is concerned."""
    found = bytearray(1024)
    found[514:518] = b"HdrS"
    found[526:528] = (64).to_bytes(2, "little")
    text = f"{release} (somebody) #1 SMP\0".encode()
    found[576 : 576 + len(text)] = text
    return bytes(found)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A folder with an image, modules and headers that belong together, as far as one can see."""
    modules = tmp_path / "lib" / "modules" / RELEASE
    headers = tmp_path / "headers"
    modules.mkdir(parents=True)
    (headers / "include" / "generated").mkdir(parents=True)
    (tmp_path / "vmlinuz").write_bytes(image(RELEASE))
    (modules / "modules.order").touch()
    (headers / "Module.symvers").touch()
    says = headers / "include" / "generated" / "utsrelease.h"
    says.write_text(f'#define UTS_RELEASE "{RELEASE}"\n')
    return tmp_path


def refused(kernel: Path, *, name: str = "mine", modules: str = RELEASE) -> str:
    """Call the script; return the one line that it says."""
    arguments = [kernel / "vmlinuz", kernel / "lib" / "modules" / modules, kernel / "headers"]
    machines = kernel / "machines"
    done = subprocess.run(
        [SCRIPT, name, *arguments],
        env=os.environ | {"CRUNCHBED_MACHINES": str(machines)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert not machines.exists()
    (line,) = done.stderr.splitlines()
    return line


def test_no_image(kernel: Path) -> None:
    (kernel / "vmlinuz").unlink()
    assert refused(kernel).endswith("vmlinuz: no such kernel image")


def test_no_headers(kernel: Path) -> None:
    (kernel / "headers" / "Module.symvers").unlink()
    assert "headers: no headers to build a module with" in refused(kernel)


def test_no_modules(kernel: Path) -> None:
    assert "not the modules of a kernel" in refused(kernel, modules="6.9.8-test")


def test_modules_of_another_kernel(kernel: Path) -> None:
    other = kernel / "lib" / "modules" / "6.9.8-test"
    other.mkdir()
    (other / "modules.order").touch()
    line = refused(kernel, modules="6.9.8-test")
    assert line.endswith(f"modules of another kernel than the headers, which are of {RELEASE}")


@pytest.mark.parametrize("content", [b"", b"no kernel", image("6.9.8-test"), bytes(2000)])
def test_an_image_of_another_kernel(kernel: Path, content: bytes) -> None:
    (kernel / "vmlinuz").write_bytes(content)
    line = refused(kernel)
    assert line.endswith(f"not a kernel image of {RELEASE}, as the headers and the modules are")


@pytest.mark.parametrize("name", ["../mine", ".mine", "agent", "corosync", ""])
def test_a_name_that_is_no_name(kernel: Path, name: str) -> None:
    assert refused(kernel, name=name).endswith("not a name for a kernel")
