"""The commands `sightline train …`."""

from __future__ import annotations

import click

from stream_app.cli_train_joint import joint
from stream_app.cli_words import train_words


@click.group(short_help="Train words, or the projection from photos to them.")
def train() -> None:
    """Train what a bundle is made of: words, or the projection from photos to them."""


train.add_command(joint)
train.add_command(train_words)
