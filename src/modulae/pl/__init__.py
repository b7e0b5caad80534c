"""Pictures: each returns its Axes, for the caller to style, save or show."""

__all__: list[str] = []
