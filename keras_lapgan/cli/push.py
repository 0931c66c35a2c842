import tempfile
from pathlib import Path

import click

from keras_lapgan.cli import options


@click.command("push")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("uri")
@click.option("--private", is_flag=True, help="Only you can see it.")
@click.option("--revision", help="Commit to this branch.  [default: main]")
@click.option("--message", help="Of the commit.")
@click.option("--create-pr", is_flag=True, help="Propose it as a pull request.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would go up; nothing is sent.",
)
def command(run, uri, private, revision, message, create_pr, dry_run):
    """Publish RUN on the Hugging Face Hub.

    RUN is a folder of a run or a preset, URI is hf://user/name. Log in first,
    `hf auth login`, or set HF_TOKEN. An upload that was interrupted can be
    repeated.
    """
    from keras_lapgan.hub.hub_uri import HubUri

    target = HubUri.parse(uri, revision)
    if not run.is_dir():
        raise options.Mistake(f"There is no folder {str(run)!r}.")

    from keras_lapgan.cli.backend import import_keras

    import_keras()
    from keras_lapgan.publishing import public_preset
    from keras_lapgan.publishing import upload_preset

    if dry_run:
        with tempfile.TemporaryDirectory() as staging:
            public_preset(run, staging, f"hf://{target.repo}")
            files = sorted(Path(staging).iterdir())
            click.echo(f"Would go to {target.address}:")
            for file in files:
                click.echo(f"  {file.stat().st_size:>12,}  {file.name}")
        return
    commit = upload_preset(
        uri,
        run,
        private=private,
        revision=revision,
        commit_message=message,
        create_pr=create_pr,
    )
    if create_pr and commit.pr_url is None:
        click.echo("Nothing has changed: no pull request was made.")
        return
    if create_pr:
        target = target._replace(revision=commit.pr_revision)
    click.echo(commit.pr_url or commit.commit_url)
    click.echo(f'Load it: LAPGAN.from_preset("{target}")')
