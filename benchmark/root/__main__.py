"""`python -m fernoise_bench`, the same as `fernoise-bench`."""

from .benchmark.cli import main

main()
