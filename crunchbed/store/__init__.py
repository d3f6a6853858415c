"""All runs below a directory as tables: nothing is installed, kept or served for it."""
