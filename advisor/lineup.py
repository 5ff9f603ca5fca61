"""Which arms a comparison runs: the approaches on the base model, and those that only prompt on an endpoint as well."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.approaches import APPROACHES, Approach, Tools

NO_DOCUMENTS = "there are no documents; give them with --docs"
NO_ENDPOINT = "there is no endpoint; give one with --endpoint"
_AT = "@endpoint"


@dataclass(frozen=True, slots=True)
class Arm:
    """One approach on one model.

    Attributes:
        approach: What is done.
        elsewhere: Whether the endpoint's model answers, and not the base model.
        rank: Its place in the order of cost and upkeep, the lower the cheaper.
    """

    approach: type[Approach]
    elsewhere: bool
    rank: int

    @property
    def name(self) -> str:
        """Stable and unique: ``few-shot``, ``few-shot@endpoint``."""
        return self.approach.name + (_AT if self.elsewhere else "")

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.approach.title + (" on the endpoint" if self.elsewhere else "")


def _arms() -> tuple[Arm, ...]:
    found = []
    for rank, approach in enumerate(APPROACHES):
        found.append(Arm(approach, False, 2 * rank))
        # A prompt is a prompt on any model; what is trained or needs no language model is not run elsewhere.
        if not approach.needs_training and approach.asks_model:
            found.append(Arm(approach, True, 2 * rank + 1))
    return tuple(found)


ARMS: dict[str, Arm] = {arm.name: arm for arm in _arms()}
"""All arms that there are, by name, in the order of cost: the same prompt costs more on an endpoint."""

ARM_TITLES: dict[str, str] = {name: arm.title for name, arm in ARMS.items()}


def asked_for(names: tuple[str, ...] | None, *, endpoint: bool) -> list[Arm]:
    """The arms that were named, or all; those of the endpoint only where there is one, or they were named."""
    return [arm for name, arm in ARMS.items() if (name in names if names else endpoint or not arm.elsewhere)]


def why_not(arm: Arm, tools: Tools, *, documents: bool, endpoint: bool) -> str:
    """Why an arm cannot be run; empty where it can."""
    if arm.elsewhere and not endpoint:
        return NO_ENDPOINT
    if arm.approach.needs_documents and not documents:
        return NO_DOCUMENTS
    return arm.approach().why_not(tools)
