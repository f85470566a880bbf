"""The descriptions of roles and bindings."""
