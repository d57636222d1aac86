"""The life of a site's control process: start, timers, taking up unfinished work, clean stop."""
