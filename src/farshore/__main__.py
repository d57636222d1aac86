"""`python -m farshore` is the command `farshore`."""

from farshore.cli.main import main

if __name__ == "__main__":
    main()
