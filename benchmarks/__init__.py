"""What this project measures of itself; each file says how it is run."""
