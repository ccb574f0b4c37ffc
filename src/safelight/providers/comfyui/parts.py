"""A workflow without some of its nodes, as far as the rest can do without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def without(
    graph: Mapping[str, dict[str, Any]], absent: Collection[str], required: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Any]]:
    """The graph without the ``absent`` nodes: what needs one goes too, and what merely takes one goes on without it.

    ``required`` are the inputs that a class of nodes needs, by its name.
    """
    gone = set(absent)
    kept = {node_id: {**node, "inputs": dict(node.get("inputs", {}))} for node_id, node in graph.items()}
    is_settled = False
    while not is_settled:
        is_settled = True
        for node_id, node in kept.items():
            if node_id in gone:
                continue
            loose = [name for name, value in node["inputs"].items() if _source(value) in gone]
            if any(name in required.get(node["class_type"], ()) for name in loose):
                gone.add(node_id)
                is_settled = False
            for name in loose:
                del node["inputs"][name]
    return {node_id: node for node_id, node in kept.items() if node_id not in gone}


def _source(value: object) -> str | None:
    return str(value[0]) if isinstance(value, list) and len(value) == 2 else None
