"""Steps between decoding and storage, one file each: a file that defines `ADMISSION = Plugin(...)` is the whole extension."""
