"""Ownership of fields: `metadata.managedFields`, and server-side apply, which depends on it. Pure.

fieldset.py   sets of field paths, as `fieldsV1` spells them, and their algebra
shapes.py     from a model: which lists are maps, sets or one value
typed.py      objects as sets; compare, merge and remove along those shapes
manager.py    the entries: an update takes what it changes, an apply what it names
outline.py    what the owners of an object, or of a change, depend on, as a key
recipes.py    results by their outlines, to be filled with times and names
tracking.py   the entries before and after each write, looked up or computed
"""
