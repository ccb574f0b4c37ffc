"""What the commands that call a server take. What they do is imported when it is to be done.

So ``--help`` and completion import nothing that talks HTTP.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from safelight.cli import fail
from safelight.cli.client.exits import MISUSE
from safelight.cli.client.options import AsJson, Force, Id, Opens, Output, ProfileName
from safelight.cli.client.wishes import Wishes
from safelight.cli.numbers import whole

Prompt = Annotated[str, Parameter(help="What to make; '-' reads it from stdin.", allow_leading_hyphen=True)]
NO_WISHES = Wishes()


def generate(
    prompt: Prompt,
    /,
    *,
    wishes: Wishes = NO_WISHES,
    max_cost: Annotated[str | None, Parameter(help="The most it may cost, in US dollars, such as 0.20.")] = None,
    force: Force = False,
    open_: Opens = False,
    no_wait: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Print the id and leave. 'safelight get' fetches the file."),
    ] = False,
    cancel_on_interrupt: Annotated[
        bool, Parameter(negative="", show_default=False, help="Ctrl-C cancels a video, and does not only stop waiting.")
    ] = False,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> int:
    """Make an image or a video."""
    from safelight.cli.client import generate

    return generate.generate(
        prompt,
        wishes,
        max_cost=max_cost,
        force=force,
        waits=not no_wait,
        opens=open_,
        cancels=cancel_on_interrupt,
        as_json=as_json,
        profile=profile,
    )


def quote(
    prompt: Prompt, /, *, wishes: Wishes = NO_WISHES, profile: ProfileName = None, as_json: AsJson = False
) -> int:
    """Tell what it would cost."""
    from safelight.cli.client import quoting

    return quoting.quote(prompt, wishes, as_json=as_json, profile=profile)


def get(
    generation_id: Annotated[str | None, Parameter(name="id", help="The generation's id.")] = None,
    /,
    *,
    last: Annotated[
        bool, Parameter(negative="", show_default=False, help="What 'safelight generate' ordered last from here.")
    ] = False,
    output: Output = None,
    force: Force = False,
    open_: Opens = False,
    no_wait: Annotated[
        bool, Parameter(negative="", show_default=False, help="Tell how it stands if it has not ended.")
    ] = False,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> int:
    """Fetch what was ordered."""
    from safelight.cli.client import collecting

    return collecting.get(
        generation_id,
        last=last,
        output=output,
        force=force,
        waits=not no_wait,
        opens=open_,
        as_json=as_json,
        profile=profile,
    )


def wait(*generation_ids: Id, profile: ProfileName = None, as_json: AsJson = False) -> int:
    """Wait until generations have ended."""
    from safelight.cli.client import collecting

    return collecting.wait(generation_ids, as_json=as_json, profile=profile)


def cancel(generation_id: Id, /, *, profile: ProfileName = None, as_json: AsJson = False) -> int:
    """Cancel a video."""
    from safelight.cli.client import collecting

    return collecting.cancel(generation_id, as_json=as_json, profile=profile)


def jobs(
    *,
    type_: Annotated[Literal["image", "video"] | None, Parameter(name="--type", help="Only these.")] = None,
    status: Annotated[Literal["pending", "completed", "failed"] | None, Parameter(help="Only those.")] = None,
    limit: Annotated[int, Parameter(help="The most to list."), whole(1, 100)] = 20,
    follow: Annotated[
        bool, Parameter(negative="", show_default=False, help="Then tell every change, until interrupted.")
    ] = False,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> int:
    """List what was ordered."""
    from safelight.cli.client import listing

    return listing.jobs(type_=type_, status=status, limit=limit, follow=follow, as_json=as_json, profile=profile)


def top(*, profile: ProfileName = None, as_json: AsJson = False) -> int:
    """Watch the work."""
    from safelight.cli.client import watching

    return watching.top(as_json=as_json, profile=profile)


def listen(
    *,
    forward_to: Annotated[
        str | None, Parameter(help="Where to post them, such as http://127.0.0.1:3000/hooks. Without it: nowhere.")
    ] = None,
    types: Annotated[str | None, Parameter(help="Only these, with commas between. Without it: all.")] = None,
    since: Annotated[
        str | None,
        Parameter(help="The event after which to begin, or 'now'. Without it: where the last such listener ended."),
    ] = None,
    print_json: Annotated[
        bool, Parameter(negative="", show_default=False, help="Print each event's body, and the lines on stderr.")
    ] = False,
    profile: ProfileName = None,
) -> int:
    """Tell every event, and hand it over."""
    from safelight.cli.client import listening

    return listening.listen(forward_to, types, since, as_json=print_json, profile=profile)


def trigger(
    event: Annotated[str, Parameter(help="The event's type, such as generation.completed.")],
    /,
    *,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> int:
    """Send a test event."""
    from safelight.cli.client import listening

    return listening.trigger(event, as_json=as_json, profile=profile)


def login(
    *,
    base_url: Annotated[
        str | None, Parameter(help="The server's address. Without it: the profile's, or else http://127.0.0.1:8484.")
    ] = None,
    profile: ProfileName = None,
) -> int:
    """Keep a server's address and a key for it."""
    from safelight.cli.client import login

    return login.login(base_url, profile)


def logout(*, profile: ProfileName = None) -> int:
    """Forget a profile."""
    from safelight.cli.client import login

    return login.logout(profile)


def mcp(
    *,
    out_dir: Annotated[
        Path | None, Parameter(help="Folder to keep each file in that is made; its path is told with the result.")
    ] = None,
    profile: ProfileName = None,
) -> int:
    """Serve MCP on standard input and output."""
    if find_spec("mcp") is None:
        return fail("What serves MCP is not installed. Run: pip install 'safelight[mcp]'.", MISUSE)
    from safelight.cli.client import mcp

    return mcp.serve(profile, out_dir)


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="For which shell.")], /) -> None:
    """Print what a shell needs to complete commands."""
    from safelight.cli.client import completing

    print(completing.script_for(shell))
