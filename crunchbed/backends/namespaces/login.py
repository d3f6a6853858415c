"""Whether a target takes the initiators' login; asked before nodes have to know."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

from crunchbed.backends.namespaces import configs
from crunchbed.scenario.schema import Scenario
from nodes.block.config import IscsiConfig
from nodes.block.iscsi_transport import IscsiTransport
from nodes.block.target import TargetSettings
from nodes.block.transport import Endpoint, LoginRefused, Reports
from reserve_agent.config_files import build
from reserve_agent.errors import BadInput

_STEP_SECONDS = 0.02


def check(
    scenario: Scenario,
    target: TargetSettings,
    inside: Callable[[], AbstractContextManager[None]],
    pump: Callable[[], None],
) -> None:
    """Log in to an iSCSI target as a node would, and hang up; a target of NBD has no login.

    ``inside`` visits the network namespace of the target, which was started; ``pump`` is called
    while waiting.

    Raises:
        BadInput: The secrets differ.
        CrunchbedError: It takes no login within the login time-out.
    """
    if target.transport != "iscsi":
        return
    config = build(configs.iscsi_session(scenario), IscsiConfig)
    endpoint, index = Endpoint(target.address, target.port), len(scenario.node_names)
    selector = selectors.DefaultSelector()
    reports = Reports(lambda _: None, lambda _, __: None)
    with closing(selector):
        with inside():
            transport = IscsiTransport(endpoint, "run", index, config, selector, reports)
        with closing(transport):
            try:
                while not transport.ready:
                    transport.serve(_STEP_SECONDS)
                    pump()
            except LoginRefused as error:
                raise BadInput(
                    "block_io.iscsi.chap: expected the same secret for target and initiators, "
                    f"got a login that is refused ({error})"
                ) from error
