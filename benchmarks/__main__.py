"""Run the workloads, print tables of medians and ratios to peers, save them in benchmarks/results/*.json."""

import argparse
import importlib
import sys

from .harness import Bench

FILES = ["eager", "start", "memory"]  # one a question; each has WORKLOADS: {name: function(bench)}


def main(argv):
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", help="a file or a workload (repeatable); see --list")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller counts: a look only")
    parser.add_argument("--list", action="store_true", help="list the workloads")
    options = parser.parse_args(argv)
    modules = {file: importlib.import_module(f".{file}", __package__) for file in FILES}
    workloads = {(file, name): run for file, module in modules.items() for name, run in module.WORKLOADS.items()}
    if options.list:
        for (file, name), run in workloads.items():
            print(f"{file}.{name:<12} {(run.__doc__ or '').strip().splitlines()[0]}")
        return 0
    for word in options.only or ():
        if not any(word in (file, name, f"{file}.{name}") for file, name in workloads):
            parser.error(f"no file or workload {word!r}; there are: {', '.join(f'{f}.{n}' for f, n in workloads)}")
    bench = Bench(quick=options.quick)
    for (file, name), run in workloads.items():
        if not options.only or any(word in (file, name, f"{file}.{name}") for word in options.only):
            run(bench)
    return bench.finish("-".join(options.only) if options.only else "all")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
