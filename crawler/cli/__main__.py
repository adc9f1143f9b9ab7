"""`python -m crawler.cli`: the command line where the script `crawler` is not on the PATH."""

from crawler.cli.main import main

main()
