"""Aggregation: versions of API groups that a Service of the cluster serves, behind this API server.

`local` keeps an APIService for each version that this server answers for; `availability` tells whether the others can
be reached; `proxy` passes requests on to them; `discovery` merges what they offer into this server's own documents.
"""
