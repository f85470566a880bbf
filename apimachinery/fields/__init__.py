"""What the annotations of models say about their fields."""
