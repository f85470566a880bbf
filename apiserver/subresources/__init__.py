"""The paths below an object's own: a file that defines `SUBRESOURCE = Subresource(...)` is the whole extension.

`status` and `scale` need none: every kind whose Resource names them has them (`_status.py`, `_scale.py`).
"""
