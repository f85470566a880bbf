"""Requests that an API server has to refuse, each with its answer: a table, without a server."""

from tests.malformed._row import CM, NAMESPACE, PODS, REASONS, Row, with_container
from tests.malformed.bodies import BODIES, METADATA, OTHER_FORMATS
from tests.malformed.reads import PATHS, READS
from tests.malformed.writes import PATCHES, UNACCEPTED, WRITES

ROWS = [*BODIES, *OTHER_FORMATS, *METADATA, *READS, *PATHS, *WRITES, *UNACCEPTED, *PATCHES]

__all__ = ["CM", "NAMESPACE", "PODS", "REASONS", "ROWS", "Row", "with_container"]
