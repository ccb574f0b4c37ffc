"""docs/metrics.md tells every metric as it is declared; and what is declared is what can be told."""

from __future__ import annotations

import re

from prometheus_client import REGISTRY as OF_THE_LIBRARY

from safelight.telemetry import gathering, metrics
from safelight.telemetry.metrics import DECLARED, Declaration
from tests.test_docs import rows


def told(declaration: Declaration) -> list[str]:
    labels = ", ".join(f"`{label}`" for label in declaration.labels)
    return [f"`{declaration.name}`", declaration.kind, labels, declaration.text, declaration.worry]


def test_every_metric_is_told_as_it_is_declared() -> None:
    for heading, of_cluster in (("Of a node", False), ("Of all nodes", True)):
        declared = [told(each) for each in DECLARED.values() if each.of_cluster is of_cluster]
        assert rows("docs/metrics.md", heading) == declared


def test_every_metric_of_a_process_can_be_gathered() -> None:
    """None is counted beside the declarations, nor in the library's own registry."""
    names = {family.name for family in metrics.REGISTRY.collect()}
    assert names == {each.name.removesuffix("_total") for each in DECLARED.values() if not each.of_cluster}
    assert {sample.name for family in metrics.REGISTRY.collect() for sample in family.samples} <= set(
        gathering._DECLARED_OF
    )
    assert not any(family.name.startswith("safelight") for family in OF_THE_LIBRARY.collect())


def test_names_are_of_the_field() -> None:
    for each in DECLARED.values():
        assert re.fullmatch(r"safelight(_[a-z]+)+", each.name)
        assert each.name.endswith("_total") is (each.kind == "counter")
        assert each.kind != "histogram" or each.name.endswith("_seconds")
        assert not {"workspace", "key", "id", "path", "user"} & set(each.labels)
