"""`python -m prefbench` is `prefbench`."""

from prefbench.cli import main

if __name__ == "__main__":
    main()
