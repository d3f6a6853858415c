"""The block service that moves: one of two nodes serves, and the other takes over from it.

``manager`` is pure: views and confirmations in, starts and stops out. ``daemon`` gives it a target
process, an address that moves (``address``) and the fence service.
"""
