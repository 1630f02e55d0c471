"""The product beside its peers: the figures of each round, the table, the results file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import outcome
from bench.figures import Line, Promise
from bench.load import LoadResult
from bench.peer_cases import PEERS, PassResult, Peer

VARIANTS = {False: "windows only", True: "windows + raw rows"}
RATE = "{:,.0f}/s"


@dataclass(frozen=True, slots=True)
class PeersPlan:
    """How much is measured; `only` names peers, none: all."""

    events: int = 1_000_000
    rounds: int = 3
    only: tuple[str, ...] = ()

    @property
    def peers(self) -> list[Peer]:
        """Those that are measured."""
        return [peer for peer in PEERS if not self.only or peer.name in self.only]


@dataclass(slots=True)
class PeersRound:
    """What one round gave; passes by peer and variant."""

    order: list[str]
    load_at_start: float
    product: LoadResult | None = None
    passes: dict[str, PassResult] = field(default_factory=dict)


def case_name(peer: Peer, store: bool) -> str:
    """One variant of one peer, in a word."""
    return f"{peer.name}-{'stored' if store else 'windows'}"


def lines_of(peers: Sequence[Peer], rounds: Sequence[PeersRound]) -> list[Line]:
    """Events a second of everything, then how many times each peer's the product's are, round by round."""
    products = [each.product.rate for each in rounds if each.product is not None]
    lines = [Line("StackLens: windows + raw rows, exactly once", products, RATE)]
    ratios = []
    for peer in peers:
        for store in peer.variants:
            rates = [each.passes[case_name(peer, store)].rate for each in rounds]
            times = [product / rate for product, rate in zip(products, rates, strict=True)]
            lines.append(Line(f"{peer.title}: {VARIANTS[store]}", rates, RATE))
            # What the promise is about: the variant that does most of the job.
            promised = peer.promise if store == peer.variants[-1] else None
            promise = None if promised is None else Promise("least", promised)
            what = f"StackLens, times {peer.title}: {VARIANTS[store]}"
            ratios.append(Line(what, times, "{:.1f}", promise))
    return [*lines, *ratios]


def report(
    plan: PeersPlan, surroundings: Mapping[str, Any], rounds: Sequence[PeersRound], file: Path
) -> bool:
    """Print the table and write the results; whether every promise is kept."""
    content = {
        "plan": {"events": plan.events, "rounds": plan.rounds},
        "peers": [{**asdict(peer), "events": peer.events(plan.events)} for peer in plan.peers],
        "rounds": [asdict(each) for each in rounds],
    }
    return outcome.report(file, "peers", surroundings, content, lines_of(plan.peers, rounds))
