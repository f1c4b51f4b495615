"""`python -m depfix`."""

from depfix.cli.main import main

if __name__ == "__main__":
    main()
