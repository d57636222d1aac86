"""A write's journey: tap -> stream -> journal -> view, with replica and sync at its side.

1. `tap` receives guest writes, in order, into a segment in shared memory; cuts markers.
2. `stream` sends sealed segments to the other site and resumes after a break.
3. `journal` keeps them there; its files are the only truth about checkpoints.
4. `replica` is each volume's base image, into which old segments are applied.
5. `view` shows a volume at a checkpoint, read-only, copying nothing.
`sync` is the side entrance: it reads live disks and puts what it read into the same ordered stream.
`segment` is the unit of everything. Between tap and stream lies the window: shared memory with the sealed segments
that the other site has not acknowledged.
"""
