"""`python -m rolecall` is the command `rolecall`."""

from rolecall.cli import main

main()
