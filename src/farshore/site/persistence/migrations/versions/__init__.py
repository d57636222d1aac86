"""Migrations of the site's database, oldest first; each is kept for ever."""
