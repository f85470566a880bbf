"""What stands below an object's path: a file that defines `SUBRESOURCE = Subresource(...)` is the whole extension.

`status` and `scale` need none: every kind whose Resource names them has them (`_status.py`, `_scale.py`).
"""
