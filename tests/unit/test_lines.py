"""JSON lines between the parts of a run."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.client import LineClient, LineSender
from reserve_agent.lines.framing import MalformedMessage, Message
from reserve_agent.lines.server import LineServer


class Owner:
    """A loop around a server, as an agent has one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[Message] = []
        self.selector = selectors.DefaultSelector()
        self.server = LineServer(path, self.selector, self._handle)

    def _handle(self, message: Message) -> Message | None:
        if message.get("op") == "drain":
            self.server.drain()
        if message.get("op") == "count":
            self.turn()  # others are served while it takes its time
        self.seen.append(message)
        if message.get("op") == "refuse":
            return {"error": "no"}
        return {"echo": message} if "op" in message else None

    def turn(self, timeout: float = 0.05) -> None:
        for key, _ in self.selector.select(timeout):
            key.data()

    def client(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(1)
        connection.connect(str(self.path))
        return connection


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path / "socket")
    yield owner
    owner.server.close()
    owner.selector.close()
    assert not owner.path.exists()


@pytest.fixture
def served(owner: Owner) -> Iterator[Owner]:
    """Its loop runs in a thread."""
    stopping = threading.Event()

    def loop() -> None:
        while not stopping.is_set():
            owner.turn(0.01)

    thread = threading.Thread(target=loop)
    thread.start()
    yield owner
    stopping.set()
    thread.join()


def test_only_its_owner_may_connect(owner: Owner) -> None:
    assert owner.path.stat().st_mode & 0o777 == 0o600


def test_lines_may_come_in_pieces_or_many_at_once(owner: Owner) -> None:
    with owner.client() as client:
        client.sendall(b'{"a": 1}\n{"a":')
        owner.turn()
        owner.turn()
        assert owner.seen == [{"a": 1}]
        client.sendall(b' 2}\n{"a": 3}\n')
        owner.turn()
        assert owner.seen == [{"a": 1}, {"a": 2}, {"a": 3}]


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[1]", b'"op"', b'{"a": 1', b"\xff\xfe", b"7"])
def test_what_is_no_object_is_counted_and_the_next_line_is_served(
    line: bytes, owner: Owner
) -> None:
    with owner.client() as client:
        client.sendall(line + b'\n{"a": 1}\n')
        owner.turn()
        owner.turn()
    assert owner.server.malformed == 1
    assert owner.seen == [{"a": 1}]


def test_a_client_that_sends_no_line_is_hung_up_on(owner: Owner) -> None:
    with owner.client() as client:
        client.setblocking(False)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                try:
                    client.send(bytes(1 << 16))
                except BlockingIOError:
                    owner.turn()


def test_a_client_that_goes_away_is_forgotten(owner: Owner) -> None:
    owner.client().close()
    owner.turn()
    owner.turn()
    assert [key.data for key in owner.selector.get_map().values()] == [owner.server._accept]


def test_draining_hears_out_everybody_else_first(owner: Owner) -> None:
    """Also those whose connection was not even accepted, and more than one read brings."""
    asking, talking = owner.client(), owner.client()
    with asking, talking:
        for _ in range(3):
            owner.turn()
        asking.sendall(b'{"op": "drain"}\n')  # first to be ready, so first to be served
        ballast = b"x" * 1000
        lines = (b'{"said": %d, "ballast": "%s"}\n' % (number, ballast) for number in range(100))
        talking.sendall(b"".join(lines))
        with owner.client() as new:
            new.sendall(b'{"said": "new"}\n')
            owner.turn()
    said = [message.get("said") for message in owner.seen]
    assert said == ["new", *range(100), None] or said == [*range(100), "new", None]


def test_one_who_asks_and_goes_away_is_no_error(owner: Owner) -> None:
    with owner.client() as asking:
        owner.turn()
        asking.sendall(b'{"op": "drain"}\n')
    owner.turn()
    assert owner.seen == [{"op": "drain"}]


def test_one_who_hung_up_while_others_were_served_is_no_error(owner: Owner) -> None:
    with owner.client() as asking:
        owner.turn()
        asking.sendall(b'{"op": "count"}\n{"a": 1}\n')
    owner.turn()
    assert owner.seen == [{"op": "count"}, {"a": 1}]
    assert [key.data for key in owner.selector.get_map().values()] == [owner.server._accept]


def test_a_client_that_draining_found_gone_is_no_error(owner: Owner) -> None:
    """The selector has reported it in the same turn, and it is called all the same."""
    asking, gone = owner.client(), owner.client()
    with asking:
        owner.turn()
        owner.turn()
        asking.sendall(b'{"op": "drain"}\n')
        gone.sendall(b"x" * (1 << 16))
        gone.close()
        owner.turn()
        owner.turn()
        assert asking.recv(1000).startswith(b'{"echo"')


def test_a_question_has_an_answer(served: Owner) -> None:
    client = LineClient(served.path)
    assert client.ask(op="status", depth=1) == {"echo": {"op": "status", "depth": 1}}
    with pytest.raises(CrunchbedError, match="socket: no"):
        client.ask(op="refuse")
    client.close()


def test_who_reports_is_told_what_is_in_safe_keeping_and_who_asks_is_not(owner: Owner) -> None:
    reporting, asking = owner.client(), owner.client()
    with reporting, asking:
        reporting.sendall(b'{"a": 1}\nnonsense\n{"a"')
        asking.sendall(b'{"op": "status"}\n')
        for _ in range(3):
            owner.turn()
        owner.server.acknowledge()
        owner.server.acknowledge()
        assert reporting.recv(100) == b'{"heard":18}\n'
        assert asking.recv(100) == b'{"echo":{"op":"status"}}\n'
        reporting.sendall(b": 2}\n")
        owner.turn()
        owner.server.acknowledge()
        assert reporting.recv(100) == b'{"heard":27}\n'
        asking.setblocking(False)
        with pytest.raises(BlockingIOError):
            asking.recv(100)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(CrunchbedError, match=r"nobody answers \(No such file or directory\)"):
        LineClient(tmp_path / "nobody")


def test_no_answer(owner: Owner) -> None:
    slow = LineClient(owner.path, timeout=0.1)
    with pytest.raises(CrunchbedError, match="no answer to status"):
        slow.ask(op="status")
    slow.close()


def test_the_server_goes_away_instead_of_answering(owner: Owner) -> None:
    client = LineClient(owner.path)
    owner.turn()
    for connection in list(owner.server._clients):
        owner.server._drop(connection)
    with pytest.raises(CrunchbedError, match="no answer to status"):
        client.ask(op="status")
    client.close()


def _refuses(message: Message) -> Message:
    if "op" not in message:
        raise MalformedMessage("no op")
    return {"echo": message["op"]}


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"a": 1}'])
@pytest.mark.parametrize("strict", [False, True])
def test_a_strict_server_hangs_up_on_whoever_sends_what_it_cannot_read(
    line: bytes, strict: bool, tmp_path: Path
) -> None:
    with selectors.DefaultSelector() as selector:
        server = LineServer(tmp_path / "s", selector, _refuses, strict=strict)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1)
            client.connect(str(tmp_path / "s"))
            client.sendall(b'{"op": 1}\n' + line + b'\n{"op": 2}\n')
            for _ in range(2):
                for key, _events in selector.select(1):
                    key.data()
            heard = client.recv(100)
            assert heard == b'{"echo":1}\n' if strict else b'{"echo":1}\n{"echo":2}\n'
            if strict:
                assert client.recv(100) == b""
        assert server.malformed == 1
        server.close()


class TestSender:
    def test_it_connects_when_somebody_listens_and_not_too_often(self, tmp_path: Path) -> None:
        sender = LineSender(tmp_path / "socket", retry_ns=100)
        assert not sender.connect(0)
        assert sender.fileno() == -1
        owner = Owner(tmp_path / "socket")
        assert not sender.connect(99)
        assert sender.connect(100)
        assert sender.send(b'{"a":1}\n') == 8
        for _ in range(2):
            owner.turn()
        assert owner.seen == [{"a": 1}]
        sender.close()
        assert not sender.connected
        owner.server.close()

    def test_opening_fails_where_nobody_listens(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            LineSender(tmp_path / "nobody").open()

    def test_it_never_blocks_and_says_when_the_peer_is_gone(self, owner: Owner) -> None:
        sender = LineSender(owner.path)
        sender.open()
        assert sender.receive() == []
        while sender.send(b"x" * 1000) != 0:
            pass
        owner.turn()
        for connection in list(owner.server._clients):
            owner.server._drop(connection)
        assert sender.send(b"x") is None
        assert sender.connected, "what the peer has sent can still be read"
        assert sender.receive() == []
        assert not sender.connected

    def test_replies_are_read_line_by_line(self, owner: Owner) -> None:
        sender = LineSender(owner.path)
        sender.open()
        sender.send(b'{"op":"a"}\n{"op":"b"}\n')
        for _ in range(2):
            owner.turn()
        assert sender.receive() == [b'{"echo":{"op":"a"}}', b'{"echo":{"op":"b"}}']
        sender.close()
