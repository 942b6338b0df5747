"""How tall a person of a take is. No `bpy` module use."""
from __future__ import annotations

from .resolve import solved_with
from .solve import height_at_rest
from .solve_take import body_of
from .take import Take


def height_of(take: Take, person: int) -> float:
    """Metres from sole to crown in the rest pose, at the size that the solve gave to the person.

    Raises TakeError when the person has no mesh, BodyFileError when the user's body file is gone.
    """
    settings = solved_with(take)
    footing = take.footing(person)
    if footing is None and settings.height:
        return settings.height
    return height_at_rest(body_of(settings), take.shape(person)) * (footing.scale if footing else 1.0)
