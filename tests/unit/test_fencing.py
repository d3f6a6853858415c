"""The fence ledger, and client and server over a real Unix socket."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodes.fence_service import FenceServer
from nodes.fencing import FenceClient
from nodes.membership.fences import FenceAnswer, FenceLedger
from nodes.waiting import wait_until
from tests.unit.pumped_fences import PumpedFences


class Handler:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.certain = True

    def __call__(self, target: str, by: str) -> bool:
        self.calls.append((target, by))
        return self.certain


class TestLedger:
    def test_a_target_is_cut_off_once(self) -> None:
        handler = Handler()
        ledger = FenceLedger(handler)
        assert ledger.ask("n3", "n1", 1, 10) == (True, 10)
        assert ledger.ask("n3", "n2", 1, 20) == (True, 10)
        assert ledger.ask("n3", "n1", 2, 30) == (True, 10)
        assert handler.calls == [("n3", "n1")]

    def test_what_is_not_certain_is_tried_again(self) -> None:
        handler = Handler()
        handler.certain = False
        ledger = FenceLedger(handler)
        assert ledger.ask("n3", "n1", 1, 10) == (False, 10)
        handler.certain = True
        assert ledger.ask("n3", "n1", 1, 20) == (True, 20)

    def test_a_late_request_does_not_hit_the_next_boot(self) -> None:
        handler = Handler()
        ledger = FenceLedger(handler)
        ledger.ask("n3", "n1", 1, 10)
        ledger.released("n3")
        assert ledger.ask("n3", "n2", 1, 20) == (True, 10)
        assert ledger.ask("n3", "n2", 3, 30) == (True, 30)
        assert handler.calls == [("n3", "n1"), ("n3", "n2")]

    def test_two_nodes_do_not_fence_each_other(self) -> None:
        handler = Handler()
        ledger = FenceLedger(handler)
        ledger.ask("n1", "n2", 1, 10)
        assert ledger.ask("n2", "n1", 1, 20) == (False, 20)
        ledger.released("n1")
        assert ledger.ask("n2", "n1", 1, 30) == (False, 30)
        assert ledger.ask("n2", "n1", 3, 40) == (True, 40)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def server(tmp_path: Path, handler: Handler) -> Iterator[PumpedFences]:
    server = PumpedFences(tmp_path / "fence", handler)
    yield server
    server.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FenceClient]:
    client = FenceClient(tmp_path / "fence", "n1")
    yield client
    client.close()


def ask(server: PumpedFences, client: FenceClient, target: str, view: int) -> FenceAnswer:
    answers: list[FenceAnswer] = []
    assert client.request(target, view)

    def pump() -> None:
        server.pump(0.01)
        answers.extend(client.answers())

    wait_until(lambda: answers, 2, "the answer", pump=pump)
    return answers[0]


def test_request_and_answer(server: PumpedFences, client: FenceClient, handler: Handler) -> None:
    assert client.fileno() == -1
    answer = ask(server, client, "n3", 4)
    assert (answer.target, answer.view, answer.ok) == ("n3", 4, True)
    assert handler.calls == [("n3", "n1")]
    assert ask(server, client, "n3", 5).t_ns == answer.t_ns
    assert len(handler.calls) == 1
    server.released("n3")
    ask(server, client, "n3", 6)
    assert len(handler.calls) == 2


def test_a_refusal_is_answered(server: PumpedFences, client: FenceClient, handler: Handler) -> None:
    handler.certain = False
    assert not ask(server, client, "n3", 1).ok


def test_answers_may_come_in_pieces(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "fence"))
        listener.listen()
        client = FenceClient(tmp_path / "fence", "n1")
        assert client.request("n3", 1)
        served, _ = listener.accept()
        with served:
            served.sendall(b'{"fenced":"n3","ok":true,')
            assert client.answers() == []
            served.sendall(b'"t":5,"view":1}\n{"fenced":"n2"')
            assert client.answers() == [FenceAnswer("n3", 1, True, 5)]
        assert client.answers() == []
        assert client.fileno() == -1


def test_a_client_without_a_server_does_not_block_and_connects_later(
    tmp_path: Path, client: FenceClient, handler: Handler
) -> None:
    assert client.request("n3", 1) is False
    assert client.answers() == []
    server = PumpedFences(tmp_path / "fence", handler)
    assert ask(server, client, "n3", 1).ok
    server.close()
    assert client.answers() == []
    assert client.request("n3", 1) is False
    assert not (tmp_path / "fence").exists()


@pytest.mark.parametrize(
    "line",
    [b"nonsense\n", b"[]\n", b'{"fence":"n3"}\n', b'{"fence":3,"by":"n1","view":1}\n', b"x" * 5000],
)
def test_a_stranger_is_dropped_and_nobody_fenced(
    tmp_path: Path, server: PumpedFences, handler: Handler, line: bytes
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
        stranger.connect(str(tmp_path / "fence"))
        stranger.sendall(line)
        server.pump(1)
        server.pump(1)
        assert stranger.recv(10) == b""
    assert handler.calls == []


def test_an_error_of_the_handler_is_the_callers(tmp_path: Path, client: FenceClient) -> None:
    def broken(_target: str, _by: str) -> bool:
        raise ValueError("cannot reach the ports")

    server = PumpedFences(tmp_path / "fence", broken)
    client.request("n3", 1)
    server.pump(1)
    with pytest.raises(ValueError, match="cannot reach"):
        server.pump(1)
    server.close()


def test_a_callers_selector_serves_it_too(tmp_path: Path, handler: Handler) -> None:
    client = FenceClient(tmp_path / "fence", "n1")
    with selectors.DefaultSelector() as selector:
        server = FenceServer(tmp_path / "fence", handler, selector, lambda *_: 0, lambda *_: None)
        client.request("n3", 1)
        for _ in range(2):  # the connection, then its request
            for key, _ in selector.select(1):
                key.data()
        assert [answer.target for answer in client.answers()] == ["n3"]
        server.close()
        assert not selector.get_map()
    client.close()


def test_of_two_that_fence_each_other_the_one_whose_fence_waits_survives(
    tmp_path: Path, handler: Handler
) -> None:
    waiting: list[Callable[[], None]] = []
    server = PumpedFences(
        tmp_path / "fence",
        handler,
        wait_ns=lambda target, _by: 5 if target == "n1" else 0,
        later=lambda _ns, call: waiting.append(call),
    )
    n1, n2 = (FenceClient(tmp_path / "fence", name) for name in ("n1", "n2"))
    n2.request("n1", 7)
    server.pump(1)
    server.pump(1)
    assert (len(waiting), n2.answers(), handler.calls) == (1, [], [])
    assert ask(server, n1, "n2", 7).ok
    waiting.pop()()
    wait_until(lambda: n2.fileno() >= 0, 1, "it is connected")
    (answer,) = n2.answers()
    assert (answer.target, answer.view, answer.ok) == ("n1", 7, False)
    assert handler.calls == [("n2", "n1")]
    server.released("n2")
    n2.request("n1", 9)
    server.pump(1)
    assert len(waiting) == 1
    server.close()
    waiting.pop()()
    assert handler.calls == [("n2", "n1")], "nobody is fenced once the service has ended"
    for client in (n1, n2):
        client.close()
