"""Contract types that import-linter does not bring."""

from __future__ import annotations

import graphlib
import sys

import grimp
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules


class _ListsWhatBreaksIt(Contract):
    """A contract that is broken by each line of ``breaches``, and says them all."""

    def breaches(self, graph: grimp.ImportGraph) -> list[str]:
        raise NotImplementedError

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        found = sorted(self.breaches(graph))
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["found"]:
            output.print_error(f"- {line}")


class ImportsOnly(_ListsWhatBreaksIt):
    """The sources import the standard library, themselves, the root package's own names and ``allowed_modules``."""

    type_name = "imports_only"

    source_modules = fields.SetField(subfield=fields.ModuleExpressionField())
    allowed_modules = fields.SetField(subfield=fields.StringField())

    def breaches(self, graph: grimp.ImportGraph) -> list[str]:
        sources = module_expressions_to_modules(graph, self.source_modules, as_packages=True)
        own = {source.name for source in sources} | {source.root_package_name for source in sources}
        allowed = tuple(f"{name}." for name in sys.stdlib_module_names | self.allowed_modules)
        return [
            f"{source.name} -> {imported}"
            for source in sources
            for imported in graph.find_modules_directly_imported_by(source.name) - own
            if not f"{imported}.".startswith(allowed)
        ]


class ProtectedSubpackages(_ListsWhatBreaksIt):
    """Each package right below ``parent`` is imported by itself and by ``allowed_importers``."""

    type_name = "protected_subpackages"

    parent = fields.StringField()
    allowed_importers = fields.SetField(subfield=fields.StringField())

    def breaches(self, graph: grimp.ImportGraph) -> list[str]:
        found = []
        for package in filter(graph.find_children, graph.find_children(self.parent)):
            inside = {package} | graph.find_descendants(package)
            for module in inside:
                others = graph.find_modules_that_directly_import(module) - inside - self.allowed_importers
                found += [f"{other} -> {module}" for other in others]
        return found


class AcyclicModules(_ListsWhatBreaksIt):
    """No module imports itself by way of others, a package's ``__init__`` and what it holds included."""

    type_name = "acyclic_modules"

    def breaches(self, graph: grimp.ImportGraph) -> list[str]:
        imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        try:
            graphlib.TopologicalSorter(imports).prepare()
        except graphlib.CycleError as error:
            return [" <- ".join(error.args[1])]
        return []
