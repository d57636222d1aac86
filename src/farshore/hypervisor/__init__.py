"""One interface to the hypervisors, with its promises, and what each driver lacks (see driver.py)."""
