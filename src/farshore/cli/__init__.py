"""The command line `farshore`: a face of the product, for people and (with --json) for programs.

One command group a file. A command is a function that gets what it needs by the names of its parameters
(`api`: a signed-in client of the site's API; `out`: where results go), see `options.command`. Everything that
takes time to import is imported inside the functions, so that `farshore --help` is quick.

What leaves: results on stdout (tables, or with --json one JSON document); errors, notes and bars on stderr; an
exit code of `exit_codes.ExitCode`.
"""
