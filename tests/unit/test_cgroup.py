"""A node's cgroup, on a plain directory tree."""

from pathlib import Path

import pytest

from nodes.cgroup import NodeCgroup, cgroup2_root
from reserve_agent.errors import CrunchbedError, MissingRequirement

HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""
UNIFIED = "sysfs /sys sysfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"
V1_ONLY = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "root"), [(HYBRID, "/sys/fs/cgroup/unified"), (UNIFIED, "/sys/fs/cgroup")]
)
def test_finds_v2(tmp_path: Path, mounts: str, root: str) -> None:
    (tmp_path / "mounts").write_text(mounts)
    assert cgroup2_root(tmp_path / "mounts") == Path(root)


def test_v1_alone_is_a_missing_requirement(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(V1_ONLY)
    with pytest.raises(MissingRequirement, match="cgroup v2"):
        cgroup2_root(tmp_path / "mounts")


def test_a_cgroup_is_made_once(tmp_path: Path) -> None:
    cgroup = NodeCgroup("k3xq", "n1", root=tmp_path)
    assert cgroup.path == tmp_path / "crunchbed-k3xq" / "n1"
    cgroup.create()
    with pytest.raises(CrunchbedError, match="File exists"):
        cgroup.create()


def test_the_last_node_takes_the_run_directory_along(tmp_path: Path) -> None:
    first, second = (NodeCgroup("k3xq", node, root=tmp_path) for node in ("n1", "n2"))
    first.create()
    second.create()
    first.remove()
    assert second.path.is_dir()
    second.remove()
    assert list(tmp_path.iterdir()) == []
