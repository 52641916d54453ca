"""Prints what was checked and holds. The first thing that does not hold ends the program."""

import json
import sys

subject = ""
holding = 0
quiet = False


def of(what):
    """Says what the checks from here on are about."""
    global subject
    subject = what
    print(what)


def same(what, got, want):
    global holding
    if got != want:
        sys.exit(f"  ✗ {subject}: {what}\n    is    {json.dumps(got, default=str)}\n    wants {json.dumps(want, default=str)}")
    holding += 1
    if not quiet:
        print(f"  ✓ {what}")


def in_one_line(check, *arguments):
    """Runs check, and counts what holds instead of telling it."""
    global holding, quiet
    holding, quiet = 0, True
    check(*arguments)
    quiet = False
    print(f"  ✓ the same {holding}")
