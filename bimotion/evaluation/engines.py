"""Engines by their names."""

from bimotion.errors import MissingExtra, SettingError, known_name
from bimotion.evaluation.engine import Engine, LocalEngine

NAMES = ("local", "ray")


def engine_of(engine: str | Engine, **options: object) -> Engine:
    """An engine by its name and its options (fields of RayEngine), or as it is given. Raises
    UnknownName, SettingError, MissingExtra.

    >>> engine_of("local").name
    'local'
    """
    if isinstance(engine, Engine):
        return engine
    if known_name("engine", engine, NAMES) == LocalEngine.name:
        if options:
            raise SettingError(f"{next(iter(options))}: expected with engine ray, found local")
        return LocalEngine()
    try:
        from bimotion.evaluation.cluster import RayEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise MissingExtra("ray", "cluster", "engine ray") from None
    return RayEngine(**options)
