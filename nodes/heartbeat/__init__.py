"""The heartbeat daemon of one node: ``nodes.membership`` with a clock and sockets."""
