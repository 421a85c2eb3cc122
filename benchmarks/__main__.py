"""Run the workloads, print tables of medians and ratios to peers, save them in benchmarks/results/*.json."""

import argparse
import importlib
import sys

from . import apart, suite
from .harness import Bench

# One a question. Each has WORKLOADS: {name: function(bench)}, or PROGRAMS, files of benchmarks/programs/ that
# end in one common table.
FILES = ["eager", "numpy", "start", "memory", "compiled", "control", "gradbench", "scaling"]


def main(argv):
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", help="a file or a workload (repeatable); see --list")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller counts: a look only")
    parser.add_argument("--list", action="store_true", help="list the workloads")
    parser.add_argument("--rows", metavar="WORD", action="append", help="only contenders with this in their name")
    parser.add_argument(
        "--as-written", metavar="SECONDS", nargs="?", type=float, const=apart.LIMIT, default=None,
        help=f"try peers that unroll a program too, each in a process of its own, for so long at most ({apart.LIMIT})",
    )  # fmt: skip
    parser.add_argument(
        "--save", action="store_true", help="keep these tables: what --compare compares with and --page shows"
    )
    parser.add_argument("--compare", action="store_true", help="tell what is slower than in the saved table")
    parser.add_argument(
        "--page", metavar="RESULTS", nargs="*",
        help="measure nothing: write the tables and plots of docs/speed.md from the saved tables (else the newest) or these files",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.page is not None:
        from . import page

        return page.write(options.page)
    if options.save and options.rows:
        parser.error("--save with --rows would keep tables without their peers")
    modules = {file: importlib.import_module(f".{file}", __package__) for file in FILES}
    names = {file: list(getattr(m, "WORKLOADS", ())) + list(getattr(m, "PROGRAMS", ())) for file, m in modules.items()}
    if options.list:
        for file, module in modules.items():
            for name in names[file]:
                head = module.WORKLOADS[name] if hasattr(module, "WORKLOADS") else suite.head(name)
                print(f"{file}.{name:<18} {(head.__doc__ or '').strip().splitlines()[0]}")
        return 0
    everything = [(file, name) for file in names for name in names[file]]
    for word in options.only or ():
        if not any(word in (file, name, f"{file}.{name}") for file, name in everything):
            parser.error(f"no file or workload {word!r}; there are: {', '.join(f'{f}.{n}' for f, n in everything)}")
    bench = Bench(quick=options.quick, rows=options.rows or (), as_written=options.as_written)
    try:
        for file, module in modules.items():
            chosen = [name for name in names[file]
                      if not options.only or any(word in (file, name, f"{file}.{name}") for word in options.only)]  # fmt: skip
            if hasattr(module, "WORKLOADS"):
                for name in chosen:
                    try:
                        module.WORKLOADS[name](bench)
                    except Exception as error:  # the other tables are not to be lost with it
                        bench.fail(f"{file}.{name}", error)
            elif chosen:
                suite.run(bench, module.TITLE, chosen, module.goals)
    except KeyboardInterrupt:  # what was measured until now is kept, and shown to be a part
        bench.fail("the run", InterruptedError("interrupted"))
        if options.save:
            print("  not saved as the table to compare with")
            options.save = False
    name = "-".join(options.only) if options.only else "all"
    return bench.finish(name, save=options.save, compare=options.compare, whole=not options.only)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
