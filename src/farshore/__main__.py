"""`python -m farshore` is the command `farshore`.

The one module above all rooms: the product's commands are in `cli`, which may not know of `lab`, and here both meet.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from farshore.cli import main as product
from farshore.lab import commands as lab
from farshore.lab.demo import command as demo


def build() -> typer.Typer:
    """The whole command line as a typer app."""
    app = product.build()
    app.add_typer(lab.app, name="lab")
    demo.register(app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    return product.run(build(), arguments)


def main() -> None:
    """Run the process's own command line and end with its exit code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
