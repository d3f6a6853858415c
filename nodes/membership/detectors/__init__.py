"""The failure detectors, one a file, and their settings by their published names."""
