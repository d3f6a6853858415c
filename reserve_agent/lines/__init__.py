"""JSON lines over a Unix stream socket: the one way in which the parts of a run talk.

Each daemon imports the end that it needs: ``client``, ``server``, or ``framing`` for both.
"""
