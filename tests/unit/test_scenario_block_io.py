"""``block_io``: transports, their time-outs, CHAP."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.backends.common import configs as common
from crunchbed.backends.namespaces import configs
from crunchbed.scenario import sizing, yaml
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

SECOND = 1_000_000_000
CHAP = {"user": "me", "secret": "twelve-chars"}


def scenario(**block_io: object) -> Scenario:
    return Scenario.model_validate({"name": "x", "claim": "it holds", "block_io": block_io})


def test_the_port_is_the_transport_s_own_unless_it_is_given() -> None:
    assert scenario().block_io.port == 10809
    assert scenario(transport="iscsi").block_io.port == 3260
    assert scenario(transport="iscsi", port=860).block_io.port == 860
    assert scenario(transport="nvme-tcp").block_io.port == 4420


def test_a_port_that_was_left_out_follows_an_override_and_a_given_one_stays() -> None:
    to_iscsi = {"block_io.transport": "iscsi"}
    assert scenario().with_overrides(to_iscsi).block_io.port == 3260
    assert scenario().with_overrides({"policy": "none"}).with_overrides(to_iscsi) == scenario(
        transport="iscsi"
    ).with_overrides({"policy": "none"})
    assert scenario(port=10810).with_overrides(to_iscsi).block_io.port == 10810
    given = scenario().with_overrides({"block_io.port": "10811"})
    assert given.with_overrides(to_iscsi).block_io.port == 10811


def test_the_hooks_know_the_port() -> None:
    rules = configs.hook_settings(scenario(transport="iscsi")).rules
    assert rules[0].port == 3260


def test_times_out_are_nanoseconds_or_never(tmp_path: Path) -> None:
    own = scenario(
        transport="iscsi",
        iscsi={"replacement_timeout": "never", "noop_out_interval": "0s", "chap": CHAP},
        nbd={"timeout": "2s", "dead_conn_timeout": 0},
    )
    assert own.block_io.iscsi.replacement_timeout is None
    assert own.block_io.iscsi.noop_out_interval == 0
    assert own.block_io.iscsi.login_timeout == 15 * SECOND
    assert (own.block_io.nbd.timeout, own.block_io.nbd.dead_conn_timeout) == (2 * SECOND, 0)
    (tmp_path / "x.yaml").write_text(yaml.text_of(own.resolved()))
    assert load_file(tmp_path / "x.yaml") == own


LEAD = "name: x\nclaim: it holds\nblock_io:\n  transport: iscsi\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  transpot: nbd", "5: block_io.transpot: expected one of the keys transport, queue"),
        ("  iscsi: 5", "5: block_io.iscsi: expected a mapping of login_timeout, noop_out_interval"),
        ("  iscsi: {noop: 1s}", "5: block_io.iscsi.noop: expected one of the keys login_timeout"),
        ("  iscsi: {login_timeout: 0s}", "5: block_io.iscsi.login_timeout: expected a duration"),
        ("  iscsi: {login_timeout: 15}", "5: block_io.iscsi.login_timeout: expected a duration"),
        ("  nbd: {timeout: never}", "5: block_io.nbd.timeout: expected a duration"),
        ("  nbd: {dead_conn_timeout: -1}", "5: block_io.nbd.dead_conn_timeout: expected a dura"),
        ("  iscsi: {chap: me}", "5: block_io.iscsi.chap: expected a mapping of user, secret"),
        ("  iscsi:\n    chap: {user: me}", "6: block_io.iscsi.chap.secret: expected a value"),
        (
            "  iscsi:\n    chap: {user: me, secret: short}",
            "6: block_io.iscsi.chap.secret: expected 12 to 16 printable characters without blanks",
        ),
        (
            "  iscsi:\n    chap: {user: me, secret: seventeen-letters}",
            "6: block_io.iscsi.chap.secret: expected 12 to 16 printable characters without blanks",
        ),
        (
            "  iscsi:\n    chap: {user: 'm e', secret: twelve-chars}",
            "6: block_io.iscsi.chap.user: expected a name of letters, digits and . _ -",
        ),
    ],
)
def test_mistakes_are_one_line_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(LEAD + text + "\n")
    with pytest.raises(BadInput) as caught:
        load_file(path)
    assert f"x.yaml:{message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_transport_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(LEAD.replace("iscsi", "fcoe"))
    with pytest.raises(BadInput, match=r"4: block_io.transport: expected one of nbd, isc"):
        load_file(path)


def test_target_and_initiators_get_the_secret_of_their_side() -> None:
    both = scenario(transport="iscsi", iscsi={"chap": CHAP})
    target = common.target(both, Path("/run/x"), "10.77.0.254", "storage")
    assert target.chap == ("me", "twelve-chars")
    assert (target.disk, target.port) == (Path("/run/x/disk"), 3260)
    assert common.iscsi_session(both)["chap"] == ("me", "twelve-chars")
    other = scenario(
        transport="iscsi", iscsi={"chap": {**CHAP, "initiator_secret": "wrong-secret"}}
    )
    assert common.target(other, Path("/run/x"), "10.77.0.254", "storage") == target
    assert common.iscsi_session(other)["chap"] == ("me", "wrong-secret")
    assert common.iscsi_session(scenario(transport="iscsi"))["chap"] is None


def test_a_control_socket_s_name_fits_into_an_address() -> None:
    settings = common.target(load("control"), Path("/run/crunchbed/abcd"), "10.77.0.1", "storage")
    assert len(f"{settings.control}.0") < 108


def test_the_reserve_knows_the_protocols() -> None:
    transports = ("nbd", "iscsi", "nvme-tcp")
    nbd, iscsi, nvme = (sizing.throttled(scenario(transport=name))[0] for name in transports)
    assert nbd.request_bytes == 16384 + 28
    assert iscsi.request_bytes == 16384 + 2 * 48, "two PDUs of 8 KiB"
    assert nvme.request_bytes == 16384 + 72, "a command with its data"
    assert (nbd.reply_bytes, iscsi.reply_bytes, nvme.reply_bytes) == (66 + 16, 66 + 48, 66 + 24)
    (long, *_) = sizing.throttled(scenario(transport="nvme-tcp", request="64KiB"))
    assert long.request_bytes == 65536 + 72 + 24, "the target asks for the data"


def test_who_gives_a_silent_target_up_and_when() -> None:
    assert scenario().block_io.answer_ns is None
    assert scenario(nbd={"timeout": "2s"}).block_io.answer_ns == 2 * SECOND
    assert scenario(transport="nvme-tcp").block_io.answer_ns == 5 * SECOND
