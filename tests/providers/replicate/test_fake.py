"""The fake, judged by the official client before any adapter meets it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import replicate
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import InvalidSignatureError, Webhooks
from standardwebhooks import Webhook

from safelight.providers.noop import png
from tests.providers.replicate.fake import KEY, FakeReplicate
from tests.providers.replicate.models import CLIP_VERSION, DECLINES, VERSION


@pytest.fixture
def client(fake: FakeReplicate, monkeypatch: pytest.MonkeyPatch) -> Iterator[replicate.Client]:
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.01")
    monkeypatch.delenv("REPLICATE_BASE_URL", raising=False)
    made = replicate.Client(api_token=KEY, base_url=fake.root_url)
    yield made
    made._client.close()


def make(client: replicate.Client, **more: Any) -> Any:
    return client.predictions.create(model="studio/picture", input={"prompt": "a hill"}, **more)


def test_a_model_a_version_and_a_deployment_are_run(client: replicate.Client, fake: FakeReplicate) -> None:
    given = {"prompt": "a hill"}
    made = [
        make(client),
        client.predictions.create(version=CLIP_VERSION, input=given),
        client.deployments.predictions.create("studio/pictures", given),
    ]
    assert [each.status for each in made] == ["starting"] * 3
    fake.is_held = True
    made[0].reload()
    assert (made[0].status, made[0].progress.percentage) == ("processing", 0.5)
    assert made[0].output, "there is output before it has ended"
    fake.is_held = False
    for each in made:
        each.wait()
        assert each.status == "succeeded"
        assert each.metrics["predict_time"] == 1.25
    assert made[2].model == "studio/picture"
    paths = [call.path for call in fake.orders()]
    assert paths == [
        "/v1/models/studio/picture/predictions",
        "/v1/predictions",
        "/v1/deployments/studio/pictures/predictions",
    ]
    assert fake.orders()[1].body == {"input": given, "version": CLIP_VERSION}


def test_run_takes_the_output_of_each_shape(client: replicate.Client) -> None:
    (picture,) = client.run("studio/picture", {"prompt": "a hill"}, use_file_output=False, wait=False)
    clip = client.run(f"artist/clip:{CLIP_VERSION}", {"prompt": "a hill"}, use_file_output=False, wait=False)
    assert (picture.partition("?")[0][-4:], clip.partition("?")[0][-4:]) == (".png", ".mp4")


def test_predictions_are_listed_newest_first_and_by_pages(client: replicate.Client, fake: FakeReplicate) -> None:
    ids = [make(client).id for _ in range(3)]
    fake.page_size = 2
    page = client.predictions.list()
    assert [each.id for each in page] == [ids[2], ids[1]]
    assert page.next is not None
    assert [each.id for each in client.predictions.list(page.next)] == [ids[0]]


def test_one_that_did_not_run_is_aborted_and_one_that_ran_is_canceled(
    client: replicate.Client, fake: FakeReplicate
) -> None:
    fake.is_held = True
    waiting, running = make(client), make(client)
    running.reload()
    with pytest.raises(ValueError, match="unexpected value"):
        waiting.cancel()  # the vendor's pages have this status, and its client does not read it
    running.cancel()
    assert (fake.predictions[waiting.id]["status"], running.status) == ("aborted", "canceled")


def test_a_file_is_uploaded_and_its_address_goes_into_the_input(client: replicate.Client, fake: FakeReplicate) -> None:
    given = {"prompt": "a hill", "image_input": [io.BytesIO(png())]}
    make_ = client.predictions.create(model="studio/picture", input=given)
    assert make_.input["image_input"] == [f"{fake.base_url}/files/file-1"]
    assert fake.files == {"file-1": png()}


def test_account_model_version_and_deployment_are_told(client: replicate.Client) -> None:
    assert client.accounts.current().username == "acme"
    model = client.models.get("studio/picture")
    assert model.latest_version is not None and model.latest_version.id == VERSION
    version = client.models.get("artist/clip").versions.get(CLIP_VERSION)
    assert "prompt" in version.openapi_schema["components"]["schemas"]["Input"]["properties"]
    assert client.deployments.get("studio/pictures").current_release.version == VERSION


def test_a_webhook_is_signed_as_the_client_and_standard_webhooks_expect(
    client: replicate.Client, fake: FakeReplicate
) -> None:
    make(client, webhook="https://safelight.example/hint", webhook_events_filter=["completed"])
    headers, body = fake.webhook(fake.newest())
    secret = client.webhooks.default.secret()
    Webhooks.validate(headers=headers, body=body.decode(), secret=secret, tolerance=60)
    assert Webhook(secret.key).verify(body, headers)["id"] == fake.newest()["id"]
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body=body.decode() + " ", secret=secret)


def test_a_failure_is_the_models_error(client: replicate.Client, fake: FakeReplicate) -> None:
    fake.states = [{"status": "failed", "error": "NSFW content detected"}]
    with pytest.raises(ModelError, match="NSFW"):
        client.run("studio/picture", {"prompt": "a hill"}, wait=False)


@pytest.mark.parametrize("word", [word for word, (status, _, _) in DECLINES.items() if status >= 400])
def test_it_declines_as_the_client_expects(client: replicate.Client, fake: FakeReplicate, word: str) -> None:
    fake.behave(word)
    with pytest.raises(ReplicateError) as declined:
        make(client)
    assert declined.value.status == DECLINES[word][0]


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "a hill", "unknown": 1},
        {"prompt": "a hill", "seed": "7"},
        {"prompt": "a hill", "steps": 51},
        {"prompt": "a hill", "output_format": "jpeg"},
        {"prompt": "a hill", "image_input": ["data:image/png;base64," + "A" * 400_000]},
        {},
    ],
)
def test_what_it_does_not_know_it_refuses(client: replicate.Client, given: dict[str, Any]) -> None:
    with pytest.raises(ReplicateError) as declined:
        client.predictions.create(model="studio/picture", input=given)
    assert declined.value.status == 422


def test_strangers_and_plain_addresses_are_refused(client: replicate.Client, fake: FakeReplicate) -> None:
    with pytest.raises(ReplicateError):
        make(client, webhook="http://safelight.example/hint")
    with pytest.raises(ReplicateError):
        client.predictions.create(model="artist/clip", input={"prompt": "a hill"})  # it is no official one
    with pytest.raises(ReplicateError):
        replicate.Client(api_token="another", base_url=fake.root_url).accounts.current()
