"""Node lifecycle: (being written by the lead)."""
