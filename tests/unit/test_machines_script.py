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
    drivers(modules, "nbd", "e1000")
    (headers / "Module.symvers").touch()
    released(headers, RELEASE)
    return tmp_path


def drivers(modules: Path, *names: str) -> None:
    """Say that a kernel has these modules and no other."""
    (modules / "modules.order").write_text("".join(f"kernel/{name}.ko\n" for name in names))
    (modules / "modules.builtin").touch()


def released(headers: Path, release: str) -> None:
    """Say of which release headers are."""
    says = headers / "include" / "generated" / "utsrelease.h"
    says.write_text(f'#define UTS_RELEASE "{release}"\n')


def refused(
    kernel: Path,
    *,
    name: str = "mine",
    modules: str = RELEASE,
    headers: str | None = "headers",
    code: int = 2,
) -> str:
    """Call the script; return the one line that it says."""
    arguments = [kernel / "vmlinuz", kernel / "lib" / "modules" / modules]
    machines = kernel / "machines"
    done = subprocess.run(
        [SCRIPT, name, *arguments, *([] if headers is None else [kernel / headers])],
        env=os.environ | {"CRUNCHBED_MACHINES": str(machines)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code, done.stderr
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


def test_no_headers_where_they_are_by_default(kernel: Path) -> None:
    line = refused(kernel, headers=None, code=4)
    assert f"build: no headers to build a module with: install linux-headers-{RELEASE}" in line


def test_headers_of_another_kernel(kernel: Path) -> None:
    released(kernel / "headers", "6.9.8-test")
    line = refused(kernel)
    image = kernel / "vmlinuz"
    assert line.endswith(f"headers: headers of 6.9.8-test, and {image} is of {RELEASE}")


def test_headers_that_do_not_say_their_release(kernel: Path) -> None:
    (kernel / "headers" / "include" / "generated" / "utsrelease.h").unlink()
    assert refused(kernel).endswith("headers: the headers do not say their release")


def test_modules_of_another_kernel(kernel: Path) -> None:
    other = kernel / "lib" / "modules" / "6.9.8-test"
    other.mkdir()
    drivers(other, "nbd", "e1000")
    line = refused(kernel, modules="6.9.8-test")
    image = kernel / "vmlinuz"
    assert line.endswith(f"6.9.8-test: modules of 6.9.8-test, and {image} is of {RELEASE}")


@pytest.mark.parametrize("pack", [None, "xz"])
def test_modules_that_say_that_they_are_of_another_kernel(kernel: Path, pack: str | None) -> None:
    module = kernel / "lib" / "modules" / RELEASE / "kernel" / "nbd.ko"
    module.parent.mkdir()
    module.write_bytes(b"\0license=GPL\0vermagic=6.9.8-test SMP mod_unload \0\0")
    if pack:
        subprocess.run([pack, module], check=True)
    assert f"{RELEASE}: modules of 6.9.8-test, and " in refused(kernel)


def test_no_driver_of_the_disk(kernel: Path) -> None:
    drivers(kernel / "lib" / "modules" / RELEASE, "nbdx", "e1000")
    assert "no driver nbd, by which machines reach their disk" in refused(kernel)


def test_no_driver_of_any_card(kernel: Path) -> None:
    drivers(kernel / "lib" / "modules" / RELEASE, "nbd", "virtio_net", "ne2k-pci")
    assert "no driver of a card that machines can have: e1000 e1000e 8139cp" in refused(kernel)


def test_a_kernel_of_before_the_module(kernel: Path) -> None:
    (kernel / "vmlinuz").write_bytes(image("5.10.0-28-amd64"))
    line = refused(kernel)
    assert line.endswith("5.10.0-28-amd64 is older than 6.1, the oldest that our module is for")


@pytest.mark.parametrize("content", [b"", b"no kernel", b"\x7fELF" + bytes(2000), bytes(2000)])
def test_an_image_that_is_none(kernel: Path, content: bytes) -> None:
    (kernel / "vmlinuz").write_bytes(content)
    assert refused(kernel).endswith("not a kernel image (a bzImage, as vmlinuz is)")


def test_an_image_of_another_kernel(kernel: Path) -> None:
    (kernel / "vmlinuz").write_bytes(image("6.9.8-test"))
    line = refused(kernel)
    assert f"modules of {RELEASE}, and " in line
    assert line.endswith("vmlinuz is of 6.9.8-test")


@pytest.mark.parametrize("name", ["../mine", ".mine", "agent", "own", "corosync", "iscsi", ""])
def test_a_name_that_is_no_name(kernel: Path, name: str) -> None:
    assert refused(kernel, name=name).endswith("not a name for a kernel")
