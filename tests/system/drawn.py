"""What the differential test draws: packets of all kinds, well-formed or not, and times."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.system import frames
from tests.system.twins import BEAT, BLOCK, NO_SOCKET, OTHER, SOCKETS

ports = st.sampled_from((BLOCK, BEAT, OTHER))
sizes = st.sampled_from((0, 8, 86, 87, 100, 213, 214, 215, 1448, 3400, 3500))
# Around whole pages of a stream, and across the wrap of sequence numbers.
sequences = st.builds(
    lambda page, byte: (2**32 - 20_480 + page * 4096 + byte) % 2**32,
    st.integers(0, 10),
    st.sampled_from((-1, 0, 1, 1448)),
)
transports = st.one_of(
    st.builds(lambda a, b, n: (frames.UDP, frames.udp(a, b, bytes(n))), ports, ports, sizes),
    st.builds(lambda a, b, n: (frames.SCTP, frames.sctp(a, b, bytes(n))), ports, ports, sizes),
    st.builds(
        lambda a, b, s, k, n: (frames.TCP, frames.tcp(a, b, s, k, bytes(n))),
        *(ports, ports, sequences, st.none() | sequences, sizes),
    ),
    st.tuples(st.sampled_from((frames.ICMP, frames.ICMPV6, 89, 0)), sizes.map(bytes)),
    st.tuples(st.sampled_from((frames.TCP, frames.UDP)), st.binary(max_size=19)),
)
packets = st.one_of(
    st.builds(
        lambda t, f: (frames.IP, frames.ipv4(*t, f)),
        transports,
        st.sampled_from((0, 0, 0, 0x4000, 0x2000, 0x2064, 0x0064)),
    ),
    st.builds(lambda t: (frames.IPV6, frames.ipv6(*t)), transports),
    st.builds(
        lambda t, o: (frames.IPV6, frames.ipv6(44, frames.ipv6_fragment(t[0], o, t[1]))),
        *(transports, st.sampled_from((0, 1448))),
    ),
    st.tuples(st.just(frames.ARP), st.just(bytes(28))),
    st.tuples(st.sampled_from((0x88CC, frames.IP, frames.IPV6)), st.binary(max_size=60)),
)
all_frames = st.builds(
    lambda packet, vlans: frames.frame(*packet, vlans),
    packets,
    st.sampled_from(((), (), (), (5,), (5, 6), (5, 6, 7))),
)
sockets = st.sampled_from((*range(SOCKETS), NO_SOCKET))
waits = st.sampled_from((0, 0, 1, 30, 64, 200, 900, 5000))
