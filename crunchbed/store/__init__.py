"""All runs below a directory as tables in memory; nothing is kept between two queries."""
