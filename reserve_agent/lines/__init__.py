"""JSON lines over a Unix stream socket: the one way in which the parts of a run talk."""

from reserve_agent.lines.client import LineClient, LineSender
from reserve_agent.lines.framing import LineBuffer, MalformedMessage, Message
from reserve_agent.lines.server import Handler, LineServer

__all__ = [
    "Handler",
    "LineBuffer",
    "LineClient",
    "LineSender",
    "LineServer",
    "MalformedMessage",
    "Message",
]
