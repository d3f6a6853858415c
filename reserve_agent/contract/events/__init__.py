"""Every kind of event that a history can have: a file for each family, ``kinds`` has the table.

A daemon imports the families that it writes and no other, since each start pays for them.
"""
