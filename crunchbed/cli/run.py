"""``crunchbed run``."""

from __future__ import annotations

import click

from crunchbed.cli.beside import draw_runs, recording
from crunchbed.cli.options import BACKEND, Options, takes
from crunchbed.cli.output import beside_the_verdict, print_json
from crunchbed.cli.report import REPORT, name_report
from crunchbed.experiments.attempts import execute
from crunchbed.report.junit import cases_of_run, write_junit
from crunchbed.report.table import open_console, print_run


@click.command()
@click.argument("scenario")
@takes(
    *("policy", "memalloc", "seed", "overrides", *BACKEND),
    *("out", "png", "junit", "prometheus", "quiet", "as_json"),
)
def run(options: Options, scenario: str) -> int:
    """Run SCENARIO once, a shipped name or a YAML file, and judge it.

    \b
    Examples:
      crunchbed run control
      crunchbed run writeback-crunch --policy none --seed 3
      crunchbed run writeback-crunch --memalloc block-io --json > result.json
      crunchbed run long-crunch --set crunch.length=800ms --set crunch.depth=1
      crunchbed run writeback-crunch --prometheus
                                          and record its metrics; says where to look
      crunchbed run control --backend machines --kernel arch/x86/boot/bzImage \\
          --modules /lib/modules/6.9.0 --headers .
    """  # noqa: D301 - \b is click's
    chosen, seed = options.scenario(scenario), options.seed
    directory = options.directory(f"{chosen.name}-{chosen.policy}-{seed}")
    with recording(options.prometheus, chosen) as scraper:
        result = execute(chosen, seed, directory, scraper, quiet=options.quiet)
    if options.as_json:
        print_json(result.model_dump(mode="json"))
    else:
        print_run(open_console(), result, chosen)
        click.echo(f"run directory: {directory}")
        name_report(directory / REPORT)
    with beside_the_verdict(options.junit):
        write_junit(options.junit, chosen.name, cases_of_run(result))
    with beside_the_verdict(options.png):
        draw_runs(options.png, chosen, seed, [(result, directory)], quiet=options.as_json)
    return result.exit_code
