"""One scenario on several backends, with the same seeds, held against each other."""
