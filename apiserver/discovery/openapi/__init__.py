"""OpenAPI: what `kubectl explain` and `apply` read, made from the models. See `serving` for the routes."""
