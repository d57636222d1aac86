"""The routes by resource: each file takes the requests of one resource apart, asks the site, writes the answer."""
