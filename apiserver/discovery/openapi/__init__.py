"""OpenAPI documents, made from the models, for `kubectl explain` and `apply`. See `serving` for the routes."""
