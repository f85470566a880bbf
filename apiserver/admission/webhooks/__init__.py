"""Admission webhooks: servers of others that are asked about requests."""
