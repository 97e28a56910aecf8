"""`python -m bimotion`: the command line."""

from bimotion.cli import main

if __name__ == "__main__":
    main()
