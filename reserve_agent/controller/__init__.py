"""The OpenFlow controller of a run: classifies at the switch, sheds for nodes under pressure."""
