"""The manifests, judged by the schemas of Kubernetes itself, and held to what the image needs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from safelight.node.settings import load_settings, setting_names
from tests.deploy.engine import CONTAINERFILE

MANIFEST = yaml.safe_load((CONTAINERFILE.parent / "kubernetes" / "safelight.yaml").read_text())
ITEMS: dict[str, Any] = {f"{item['kind']}/{item['metadata']['name']}": item for item in MANIFEST["items"]}
PODS = {name: item["spec"]["template"]["spec"] for name, item in ITEMS.items() if "template" in item.get("spec", {})}
# With the sleep before a pod is asked to stop, in 1.30 first.
VERSIONS = ("1.37", "1.32")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ITEMS)
def test_it_is_valid(name: str, version: str) -> None:
    kubernetes_validate.validate(ITEMS[name], version, strict=True)


def test_the_judge_sees_what_is_wrong() -> None:
    wrong = copy.deepcopy(ITEMS["Deployment/safelight-api"])
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", PODS)
def test_each_pod_can_write_nothing_and_become_nothing(name: str) -> None:
    pod = PODS[name]
    (container,) = pod["containers"]
    user = next(line for line in CONTAINERFILE.read_text().splitlines() if line.startswith("USER "))
    assert user == f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"/data", "/tmp", "/provenance"}


def test_a_pod_has_the_time_that_its_stop_takes() -> None:
    settings = load_settings(ITEMS["ConfigMap/safelight"]["data"])
    for name in ("Deployment/safelight-api", "Deployment/safelight-worker"):
        pod = PODS[name]
        before = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= before + settings.shutdown_seconds + 5


def test_selectors_find_their_pods() -> None:
    labels = [item["spec"]["template"]["metadata"]["labels"] for item in ITEMS.values() if item["kind"] == "Deployment"]
    for name in ("Service/safelight", "PodDisruptionBudget/safelight-api"):
        selector = ITEMS[name]["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        assert sum(selector.items() <= each.items() for each in labels) == 1


def test_every_setting_exists() -> None:
    named = {key for key in ITEMS["ConfigMap/safelight"]["data"] if key.startswith("SAFELIGHT_")}
    assert {key.removeprefix("SAFELIGHT_").lower() for key in named} <= set(setting_names())
    assert Path("/provenance") == load_settings(ITEMS["ConfigMap/safelight"]["data"]).provenance_folder
