"""``crunchbed calibrate``: measure a kernel and card for a profile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from crunchbed.backends.machines import images
from crunchbed.backends.machines.calibration import Calibration, version_of
from crunchbed.backends.machines.calibration import calibrate as measure
from crunchbed.backends.machines.requirements import needed_by_one
from crunchbed.calibrate.profile import Compared, compared, profile_record, shipped_for
from crunchbed.cli.options import Options, bundled, can_be_made, takes
from crunchbed.cli.output import FILE, print_json
from crunchbed.host.requirements import require
from crunchbed.host.scratch import scratch
from crunchbed.report.calibration import print_calibration, record_of
from crunchbed.report.table import open_console
from crunchbed.run.signals import ended_by_signals
from crunchbed.scenario.kinds import require_known
from crunchbed.scenario.section import CARDS, KERNELS
from reserve_agent.errors import BadInput, MissingRequirement
from reserve_agent.files import write_json
from reserve_agent.model.profiles import CARDS as CARD_PROFILES
from reserve_agent.model.profiles.record import Profile, constants
from reserve_agent.profile_files import load_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options of this command say."""

    nic: str
    repeats: int
    against: Path | None
    out: Path | None
    force: bool
    check: bool


_OPTIONS: Final = {
    "nic": click.option(
        "--nic",
        metavar="CARD",
        default=CARDS[0],
        show_default=True,
        help=f"The card: one of {', '.join(CARDS)}.",
    ),
    "repeats": click.option(
        "--repeats",
        type=click.IntRange(1, 100),
        default=3,
        show_default=True,
        help="How often each constant is measured.",
    ),
    "against": click.option(
        "--against",
        type=FILE,
        metavar="FILE",
        help="A profile file to hold the kernel against, instead of the shipped profile.",
    ),
    "out": click.option(
        "--out",
        type=FILE,
        callback=can_be_made,
        metavar="FILE",
        help="Write a profile file: what was measured, and the shipped constants for the rest.",
    ),
    "force": click.option("--force", is_flag=True, help="Replace FILE if it is there already."),
    "check": click.option(
        "--check", is_flag=True, help="Exit with 1 where the profile is contradicted."
    ),
}


@click.command()
@click.argument("name", required=False, metavar="[KERNEL]")
@takes("kernel", "modules", "headers", "as_json", "quiet")
@bundled("asked", Asked, _OPTIONS)
def calibrate(options: Options, asked: Asked, name: str | None) -> int:
    """Measure the constants of KERNEL's profile in one small virtual machine.

    KERNEL is a kernel that `make machines` has built, 6.1 by default; --kernel IMAGE is one of your
    own, and needs root. The machine has CARD. It takes a minute and leaves nothing behind.

    What is measured is held against the shipped profile of that kernel and card:

    \b
      floors       what share of the reserve R each kind of request must leave free
      sizes        what a packet holds, and how much a reader that does not read
      card         its ring; which frames its driver copies; whether its driver asks with
                   __GFP_MEMALLOC; what a failed refill does
      late drops   frames that are dropped after a crunch, in buffers that were filled in it

    Everything else in FILE is of the shipped profile, and is marked so.

    \b
    Examples:
      crunchbed calibrate                       is linux-6.1 right about 6.1 and e1000?
      crunchbed calibrate 6.12 --nic vmxnet3 --out vmxnet3.json
      crunchbed calibrate --kernel bzImage --modules /lib/modules/6.9.0 --out mine.json
      crunchbed calibrate --against mine.json --check
                                                after an upgrade: is it still so?
    """  # noqa: D301 - \b is click's
    given = _given(asked)
    image = _image(options, name, asked.nic)
    base = Profile(shipped_for(image.release), CARD_PROFILES[asked.nic])
    found = _measured(options, asked, image, base)
    held = compared(found.constants, given or base)
    about = {
        "name": image.name,
        "release": found.release,
        "version": version_of(image.kernel),
    }
    if asked.out is not None:
        where = f"measured on {found.release} {asked.nic}, {datetime.now(UTC):%Y-%m-%d}"
        write_json(asked.out, profile_record(found.constants, base, about, where))
    _show(options, about, given or base, held, asked.out)
    return int(asked.check and any(one.contradicts for one in held))


def _given(asked: Asked) -> Profile | None:
    """Return the profile of ``--against``; BadInput where that or another option is wrong."""
    require_known(asked.nic, CARDS, "card")
    if asked.out is not None and asked.out.exists() and not asked.force:
        raise BadInput(f"--out {asked.out}: is there already; --force replaces it")
    if asked.against is None:
        return None
    profile = load_profile(asked.against)
    if profile.card.name != asked.nic:
        got = f"{profile.card.name}'s"
        raise BadInput(f"--against {asked.against}: expected a profile of {asked.nic}, got {got}")
    return profile


def _image(options: Options, name: str | None, nic: str) -> images.Image:
    own = options.own_kernel()
    if own is not None and name is not None:
        raise BadInput(f"{name}: expected a kernel's name or --kernel, got both")
    kernel = own or name or KERNELS[0]
    require(needed_by_one(kernel, nic))
    image = images.find(kernel)
    if image is None:
        raise MissingRequirement(f"no kernel {kernel} ({images.remedy(kernel)})")
    return image


def _measured(options: Options, asked: Asked, image: images.Image, base: Profile) -> Calibration:
    def say(text: str) -> None:
        if not options.quiet:
            click.echo(f"calibrate {image.name} {asked.nic}: {text}", err=True)

    with ended_by_signals(), scratch("calibrate") as folder:
        return measure(image, asked.nic, base, asked.repeats, folder, say)


def _show(
    options: Options,
    kernel: dict[str, str],
    profile: Profile,
    held: list[Compared],
    out: Path | None,
) -> None:
    wrong = [one.line for one in held if one.contradicts]
    against = f"{profile.kernel.name}, {profile.card.name}"
    if options.as_json:
        print_json(
            {
                "kernel": kernel,
                "card": profile.card.name,
                "against": against,
                "constants": record_of(held),
                "contradictions": wrong,
                "file": None if out is None else str(out),
            }
        )
        return
    console = open_console()
    rest = len(constants(profile)) - sum("." in one.constant.key for one in held)
    title = f"{kernel['name']}, {profile.card.name}: {kernel['version']}"
    print_calibration(console, title, held, against, rest)
    for line in wrong:
        console.print(f"contradicts {against}: {line}", soft_wrap=True, markup=False)
    if out is not None:
        console.print(f"profile: {out}", soft_wrap=True, markup=False)
