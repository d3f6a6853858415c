"""docker-compose.yml: valid, pinned, reached from this machine only, without a default password."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PASSWORD = "GRAFANA_PASSWORD"  # noqa: S105 - the name of the variable


def config(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What Debian's docker-compose makes of the file; a developer's .env does not count."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    return subprocess.run(
        ["docker-compose", "config"],
        cwd=tmp_path,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


needs_compose = pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="docker-compose is not installed"
)


@needs_compose
def test_docker_compose_accepts_the_file_without_a_word(tmp_path: Path) -> None:
    done = config(tmp_path, **{PASSWORD: "chosen"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "GF_SECURITY_ADMIN_PASSWORD: chosen" in done.stdout


@needs_compose
@pytest.mark.parametrize("environment", [{}, {PASSWORD: ""}], ids=["unset", "empty"])
def test_there_is_no_default_password(tmp_path: Path, environment: dict[str, str]) -> None:
    done = config(tmp_path, **environment)
    assert done.returncode != 0
    assert "give Grafana a password" in done.stderr


def test_images_are_pinned() -> None:
    images = [SERVICES[name]["image"] for name in ("prometheus", "grafana")]
    images += re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+(\.\d+)?(-slim)?", image), image


def test_the_dashboards_are_made_for_the_grafana_that_shows_them() -> None:
    pinned = re.search(
        r"^grafana-foundation-sdk==\d+!([\d.]+)$",
        (ROOT / "requirements.in").read_text(),
        re.MULTILINE,
    )
    assert pinned is not None
    assert SERVICES["grafana"]["image"] == f"grafana/grafana:{pinned[1]}"


def test_everything_listens_on_loopback_only() -> None:
    for service in SERVICES.values():
        # The host's network publishes nothing; what listens says itself where.
        assert service["network_mode"] == "host"
        assert "ports" not in service
    assert "--web.listen-address=127.0.0.1:9090" in SERVICES["prometheus"]["command"]
    assert SERVICES["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_every_service_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        check = service["healthcheck"]
        assert check["test"][0] == "CMD", name
        assert check["retries"], name


def test_what_is_mounted_from_the_checkout_exists() -> None:
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./runs":
                assert (ROOT / source).is_dir(), source
    config_file = next(
        argument.partition("=")[2]
        for argument in SERVICES["prometheus"]["command"]
        if argument.startswith("--config.file=")
    )
    assert (ROOT / "dashboards" / "prometheus" / Path(config_file).name).is_file()


def test_the_image_holds_nothing_of_the_checkout_but_its_sources() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    for line in (ROOT / ".gitignore").read_text().split():
        name = line.strip("/")
        assert {name, f"**/{name}"} & ignored, line
    assert ".git" in ignored
