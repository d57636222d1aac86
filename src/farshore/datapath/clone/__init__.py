"""A clone's copy: volumes at one checkpoint, written from the journal's files into sparse images of their own.

A process of its own, one a clone, which journal and guests do not notice: it reads in small pieces, lets never much
unwritten data stand before the store, and gives way by its priority. It may be killed at any point and begun again.
"""
