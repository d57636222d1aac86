"""The Zerto VPG REST API over HTTPS, in JSON and XML from one model.

The words: *wire* models restate the shapes that clients know (`wire/`); a *route* takes one apart, asks `Services`
(the site behind the API) and writes the answer; the *dialect* says whether a task's identifier is answered as an
object or as a bare string. Nothing here decides what a VPG may do: that is `farshore.model.actions`, asked by the site.
"""
