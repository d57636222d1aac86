"""A view: one volume at one checkpoint, read-only, nothing copied: the base image under the journal up to there.

`extents` knows geometry only; `mapping` builds a volume's map from the journal's indexes; `volume` reads through it;
`export` writes an image; `python -m farshore.datapath.view` serves one over NBD until SIGTERM.
Guarantees: the bytes are those of the checkpoint for as long as the view is open, whatever is appended, promoted or
deleted meanwhile, as long as the checkpoint was pinned when it was opened. Opening costs the same for any checkpoint.
"""
