"""A cluster that is held open, and what people do to it from other terminals."""
