"""API priority and fairness: which requests are served now, which wait, and which are refused."""
