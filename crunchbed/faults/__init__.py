"""The kinds of fault that a scenario can ask for, one file each.

A file holds the settings of its kind (a section of the scenario file), what the fault does to the
cluster, and what the checks need to know of it. ``base`` says what these three are, ``kinds``
lists every kind. A new kind is a new file and one entry in ``kinds``; where its begin has something
new to tell the history, ``FaultBegan`` gets a field.
"""
