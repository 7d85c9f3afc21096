"""Check that no files of labmill import each other in a circle.

Imports for type checking only and imports inside functions count: they hide a circle
from Python, not from a reader. The order of the packages is `.importlinter`'s contract.
"""

import sys
from graphlib import CycleError, TopologicalSorter

import grimp


def main() -> int:
    """Return 1 and print the files of a circle if there is one."""
    graph = grimp.build_graph("labmill", exclude_type_checking_imports=False)
    imports = {
        name: graph.find_modules_directly_imported_by(name) for name in graph.modules
    }
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        print("Circle of imports:", " -> ".join(reversed(error.args[1])))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
