"""python -m adjoint: the command line."""

from .cli import main

raise SystemExit(main())
