"""How many seats a request takes. Pure.

A list takes more than one seat when it has much to read: what it costs grows with it.
"""

from __future__ import annotations

import math

OBJECTS_PER_SEAT = 100
MAX_SEATS = 10
MAX_PART_OF_LEVEL = 0.15  # of a level's own seats: a wide request must not stop the level


def seats_of_list(objects: int, limit: int, nominal: int) -> int:
    """`objects` is how many are stored of the kind; `limit` is the page that is asked for, 0 for all."""
    read = min(objects, limit) if limit > 0 else objects
    most = max(1, min(MAX_SEATS, math.ceil(nominal * MAX_PART_OF_LEVEL)))
    return min(max(1, math.ceil(read / OBJECTS_PER_SEAT)), most)
