"""What people and other programs write: YAML, JSONPath, durations, image names."""
