"""Heartbeats, failure detection and membership of one node.

``detector``, ``views``, ``membership``, ``wire``, ``roster`` and ``protocol`` are pure: time is
passed in, nothing is sent or read. ``daemon`` is the thin shell that gives them a socket and a
clock.
"""
