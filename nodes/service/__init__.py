"""The block service that moves: one of two nodes serves, and the other takes over from it.

``manager`` says who serves, ``serving`` what a node does that serves; both are pure. ``daemon``
gives them a target process, an address that moves (``address``) and the fence service.
"""
