"""`python -m scorer` is the command `scorer`."""

from scorer.cli import main

if __name__ == "__main__":
    main()
