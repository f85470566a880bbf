"""One describer a kind: from an object (and what belongs to it) to the lines of `describe`."""
