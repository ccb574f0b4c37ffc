"""ComfyUI: any workflow that is exported for its API, with a map that says where in it an order's parts go."""

from __future__ import annotations

from safelight.domain.catalog import Binding, Model
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import Host, ProviderKind
from safelight.providers.comfyui.fields import Options, misfits
from safelight.providers.comfyui.provider import ComfyuiProvider, Settings
from safelight.providers.comfyui.workflow import WorkflowError, read_workflow


def _check_binding(model: Model, binding: Binding, host: Host) -> None:
    options = binding.options
    assert isinstance(options, Options)
    try:
        workflow = read_workflow(host.catalog_dir / options.workflow)
    except WorkflowError as error:
        raise ConfigurationError(f"workflow: {error}") from None
    for misfit in misfits(workflow, options, model):
        raise ConfigurationError(misfit)
    for name in binding.provider_options:
        if name not in options.fields.options:
            raise ConfigurationError(f"fields.options.{name}: the binding passes it on, and it has no place. Map it.")


KIND = ProviderKind(settings=Settings, options=Options, open=ComfyuiProvider, check_binding=_check_binding)
