"""The `m1` command. It can be stopped even during imports that take time."""

from m1.stopping import begin


def main() -> None:
    """Run the command line."""
    begin()
    from m1.cli import app

    app()


if __name__ == "__main__":
    main()
