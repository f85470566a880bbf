"""Steps between decoding and storage: one file that defines `ADMISSION = Plugin(...)` is the whole extension."""
