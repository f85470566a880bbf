"""Ownership of fields: `metadata.managedFields`, and server-side apply, which depends on it. Pure.

fieldset.py   sets of field paths, as `fieldsV1` spells them, and their algebra
shapes.py     from a model: which lists are maps, sets or one value
typed.py      objects as sets; compare, merge and remove along those shapes
manager.py    the entries: an update takes what it changes, an apply what it names
tracking.py   which writes are written down
"""
