"""The fake is judged by the official client first, so that it is not merely our idea of the vendor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.auth import jwt
from google.auth.crypt import RSASigner
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.genai import errors, types
from google.genai._interactions_errors import BadRequestError, NotFoundError
from google.oauth2 import _client, credentials

from safelight.providers.noop import mp4, png
from tests.providers.google.fake import KEY, LOCATION, PROJECT, FakeGoogle, serve


@pytest.fixture
def fake() -> Iterator[FakeGoogle]:
    with serve(FakeGoogle()) as started:
        yield started


def by_key(fake: FakeGoogle, key: str = KEY) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=fake.base_url))


def on_vertex(fake: FakeGoogle) -> genai.Client:
    """With an access token that the fake knows, as if it were got before."""
    fake.tokens.append("ya29.given")
    given: Any = credentials.Credentials(token="ya29.given")
    options = types.HttpOptions(base_url=fake.base_url)
    return genai.Client(vertexai=True, project=PROJECT, location=LOCATION, credentials=given, http_options=options)


@pytest.mark.parametrize("client_of", [by_key, on_vertex])
def test_it_makes_a_picture(fake: FakeGoogle, client_of: Any) -> None:
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K"),
        seed=7,
    )
    picture = types.Part.from_bytes(data=png(), mime_type="image/png")
    with client_of(fake) as client:
        answer = client.models.generate_content(model="gemini-image", contents=["a fox", picture], config=config)
    parts = answer.candidates[0].content.parts
    (made,) = [part.inline_data.data for part in parts if part.inline_data and not part.thought]
    assert made == png()
    assert answer.usage_metadata.candidates_token_count == 1290
    body = fake.orders()[-1].body
    assert [sorted(part) for part in body["contents"][0]["parts"]] == [["text"], ["inlineData"]]
    assert body["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
        "seed": 7,
    }


@pytest.mark.parametrize("client_of", [by_key, on_vertex])
@pytest.mark.parametrize("delivery", ["inline", "uri"])
def test_it_makes_a_clip_in_the_background(fake: FakeGoogle, client_of: Any, delivery: str) -> None:
    fake.states = [{"status": "in_progress"}]
    shape: Any = {"type": "video", "aspect_ratio": "16:9", "resolution": "720p", "duration": "2s", "delivery": delivery}
    with client_of(fake) as client:
        made = client.interactions.create(
            model="gemini-omni", input="a fox", background=True, store=True, response_format=shape
        )
        assert made.status == "queued"
        seen = [client.interactions.get(made.id) for _ in range(2)]
        assert [each.status for each in seen] == ["in_progress", "completed"]
        assert fake.asked()[-1].query == {"stream": "false"}
        video = seen[1].output_video
        assert video is not None and seen[1].usage.total_output_tokens == 5000
        if delivery == "uri" and client_of is by_key:
            assert client.files.download(file="files/file1") == mp4(2)
            assert fake.calls[-1].path == "/v1/files/file1:download"
        if delivery == "inline":
            assert video.data


def test_an_interaction_is_canceled_once(fake: FakeGoogle) -> None:
    fake.is_held = True
    with by_key(fake) as client:
        made = client.interactions.create(
            model="gemini-omni", input="a fox", background=True, store=True, response_format={"type": "video"}
        )
        assert client.interactions.cancel(made.id).status == "cancelled"
        with pytest.raises(BadRequestError):
            client.interactions.cancel(made.id)
        with pytest.raises(NotFoundError):
            client.interactions.get("v1_none")


@pytest.mark.parametrize("storage_uri", [None, "gs://studio/clips"])
def test_it_makes_a_clip_as_an_operation(fake: FakeGoogle, storage_uri: str | None) -> None:
    config = types.GenerateVideosConfig(
        number_of_videos=1,
        duration_seconds=4,
        aspect_ratio="16:9",
        resolution="720p",
        seed=7,
        negative_prompt="fog",
        generate_audio=False,
        output_gcs_uri=storage_uri,
        last_frame=types.Image(image_bytes=png(), mime_type="image/png"),
    )
    fake.is_held = True
    with on_vertex(fake) as client:
        operation = client.models.generate_videos(
            model="veo-3",
            source=types.GenerateVideosSource(
                prompt="a fox", image=types.Image(image_bytes=png(), mime_type="image/png")
            ),
            config=config,
        )
        assert not client.operations.get(operation).done
        fake.is_held = False
        done = client.operations.get(operation)
    assert fake.asked()[-1].path.endswith("/publishers/google/models/veo-3:fetchPredictOperation")
    (made,) = done.response.generated_videos
    assert made.video.uri == f"{storage_uri}/a b/made.mp4" if storage_uri else made.video.video_bytes == mp4(4)


def test_references_of_veo_stand_by_themselves(fake: FakeGoogle) -> None:
    picture = types.Image(image_bytes=png(), mime_type="image/png")
    kind = types.VideoGenerationReferenceType.ASSET
    config = types.GenerateVideosConfig(
        reference_images=[types.VideoGenerationReferenceImage(image=picture, reference_type=kind)]
    )
    with on_vertex(fake) as client:
        client.models.generate_videos(model="veo-3", source=types.GenerateVideosSource(prompt="a fox"), config=config)
        reference = fake.orders()[-1].body["instances"][0]["referenceImages"][0]
        assert reference["referenceType"] == "ASSET" and sorted(reference["image"]) == [
            "bytesBase64Encoded",
            "mimeType",
        ]
        with pytest.raises(errors.ClientError):
            client.models.generate_videos(
                model="veo-3", source=types.GenerateVideosSource(prompt="a fox", image=picture), config=config
            )


@pytest.mark.parametrize(
    ("fault", "raised", "status"),
    [
        ("bad_argument", errors.ClientError, "INVALID_ARGUMENT"),
        ("retired", errors.ClientError, "NOT_FOUND"),
        ("minute", errors.ClientError, "RESOURCE_EXHAUSTED"),
        ("internal", errors.ServerError, "INTERNAL"),
        ("overloaded", errors.ServerError, "UNAVAILABLE"),
        ("list", errors.ClientError, "INVALID_ARGUMENT"),
    ],
)
def test_its_errors_are_the_vendors(fake: FakeGoogle, fault: str, raised: Any, status: str) -> None:
    fake.behave(fault)
    with by_key(fake) as client, pytest.raises(raised) as caught:
        client.models.generate_content(model="gemini-image", contents="a fox")
    assert caught.value.status == status


@pytest.mark.parametrize("fault", ["blocked", "IMAGE_SAFETY", "words_alone"])
def test_its_refusals_are_the_vendors(fake: FakeGoogle, fault: str) -> None:
    fake.behave(fault)
    with by_key(fake) as client:
        answer = client.models.generate_content(model="gemini-image", contents="a fox")
    assert not answer.parts or not any(part.inline_data for part in answer.parts)


def test_it_lists_a_model_and_refuses_another_key(fake: FakeGoogle) -> None:
    with by_key(fake) as client:
        assert client.models.get(model="gemini-image").supported_actions == ["generateContent", "countTokens"]
        with pytest.raises(errors.ClientError):
            client.models.get(model="gemini-none")
    with on_vertex(fake) as client:
        assert client.models.get(model="veo-3").name
        assert fake.calls[-1].path == "/v1beta1/publishers/google/models/veo-3"
    with by_key(fake, "AIza-another") as client, pytest.raises(errors.ClientError, match="API key not valid"):
        client.models.get(model="gemini-image")


def test_its_tokens_are_those_of_the_official_library(fake: FakeGoogle) -> None:
    """With the address given: its credentials ask Google's own, whatever their JSON says."""
    request, uri = Request(), f"{fake.base_url}/token"
    token, *_ = _client.refresh_grant(request, uri, "refresh-canary-1", "client-1", "secret-canary-1")
    assert token == fake.tokens[-1]
    account = json.loads(fake.service_account())
    signer = RSASigner.from_service_account_info(account)
    now = int(time.time())
    scope = "https://www.googleapis.com/auth/cloud-platform"
    claims = {"iss": account["client_email"], "scope": scope, "aud": uri, "iat": now, "exp": now + 3600}
    token, *_ = _client.jwt_grant(request, uri, jwt.encode(signer, claims))
    assert token == fake.tokens[-1]
    with pytest.raises(RefreshError, match="invalid_grant"):
        _client.jwt_grant(request, uri, jwt.encode(signer, {**claims, "exp": now - 1000}))
