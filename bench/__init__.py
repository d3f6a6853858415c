"""Measurements of this checkout on this machine: ``make bench``. Not part of the product."""
