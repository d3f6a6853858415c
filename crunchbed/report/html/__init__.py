"""A run or a comparison as one HTML file that shows itself without a network."""
