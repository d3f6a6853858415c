"""Switches an interface's offloads off with ethtool's own system calls (linux/ethtool.h)."""

from __future__ import annotations

import ctypes
import fcntl
import functools
import socket
import struct

from reserve_agent.errors import CrunchbedError

_SIOCETHTOOL = 0x8946
_GET_STRINGS, _SET_FEATURES, _GET_COUNT = 0x1B, 0x3B, 0x37
_FEATURES = 4  # number of the set of strings that has the features' names (ETH_SS_FEATURES)
_NAME_BYTES = 32
_OFF = ("tx-checksum-", "tx-tcp", "tx-udp-segmentation", "tx-generic-segmentation", "rx-gro")


def switch_offloads_off(interface: str) -> None:
    """Do ``ethtool -K INTERFACE tx off tso off gso off gro off``, in the caller's namespace.

    With checksum offload on, TCP does not work over Open vSwitch's userspace datapath. Without
    segmentation offload a packet is one frame of at most the MTU, as on a wire, so that the hooks'
    counters, the interface's counters and the model's pages count the same packets.

    Raises:
        CrunchbedError: the kernel refused.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            names = _feature_names()
            words = [0] * -(-len(names) // 32)
            for bit, name in enumerate(names):
                if name.startswith(_OFF):
                    words[bit // 32] |= 1 << bit % 32
            # For each word: a mask of the bits to set, and their new values, which are 0.
            pairs = b"".join(struct.pack("=II", word, 0) for word in words)
            header = struct.pack("=II", _SET_FEATURES, len(words))
            _ask(any_socket, interface, ctypes.create_string_buffer(header + pairs))
        except OSError as error:
            text = f"cannot switch offloads off on {interface}: {error.strerror}"
            raise CrunchbedError(text) from error


@functools.cache
def _feature_names() -> tuple[str, ...]:
    """Names of the kernel's features, in order; they are the same for every interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("=IIQI", _GET_COUNT, 0, 1 << _FEATURES, 0)
        answer = _ask(any_socket, "lo", ctypes.create_string_buffer(asked, len(asked)))
        count = struct.unpack("=IIQI", answer)[-1]
        header = struct.pack("=III", _GET_STRINGS, _FEATURES, count)
        size = len(header) + count * _NAME_BYTES
        names = _ask(any_socket, "lo", ctypes.create_string_buffer(header, size))[len(header) :]
    parts = (names[at : at + _NAME_BYTES] for at in range(0, len(names), _NAME_BYTES))
    return tuple(part.split(b"\0", 1)[0].decode() for part in parts)


def _ask(any_socket: socket.socket, interface: str, buffer: ctypes.Array[ctypes.c_char]) -> bytes:
    request = struct.pack("16sP", interface.encode(), ctypes.addressof(buffer))
    fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
    return buffer.raw
