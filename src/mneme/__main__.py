"""`python -m mneme` is the command `mneme`."""

from mneme.cli.main import main

if __name__ == "__main__":
    main()
