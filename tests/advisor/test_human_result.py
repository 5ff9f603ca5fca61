"""The result of a session: counted right, honest by simulation, and silent about names until the session is closed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest

from advisor.human.agreement import agreement_of, krippendorff_alpha
from advisor.human.result import result_of, shown_names, winners
from advisor.human.strengths import bradley_terry, strengths_of
from advisor.human.tallies import decision, tally, votes_to_go, win_rate
from advisor.human.votes import Vote
from tests.advisor.human_support import ARMS, draws, items, session, vote, votes_for

A, B = ARMS


def drawn(rate: float, count: int, *, ties: float = 0.2, seed: int) -> list[int]:
    """Votes of a rater who prefers the first arm at this rate."""
    draw = draws(seed)
    return [0 if draw.random() < ties else 1 if draw.random() < rate else -1 for _ in range(count)]


def of_raters(count: int, raters: int, *, rate: float, alike: float, seed: int) -> list[Vote]:
    """Votes of several raters, who share this part of their opinions on each item."""
    draw = draws(seed)
    made = []
    for item in range(count):
        shared = draw.random() < rate
        for rater in range(raters):
            liked = shared if draw.random() < alike else draw.random() < rate
            kind = "left" if liked else "right"
            made.append(vote(item, kind, number=len(made) + 1, rater=f"r{rater}"))  # type: ignore[arg-type]
    return made


def test_votes_are_counted_by_arm_whatever_the_side() -> None:
    given = [
        *votes_for([1, 1, -1, 0, 1]),
        vote(5, "both_bad"),
        vote(6, "skip"),
        vote(0, "right", number=9, repeat=True),
    ]
    found = tally([one for one in given if one.judged and not one.repeat], A, B)
    assert (found.wins, found.losses, found.ties, found.both_bad, found.judged, found.decisive) == (3, 1, 1, 1, 6, 4)
    other = tally([one for one in given if one.judged and not one.repeat], B, A)
    assert (other.wins, other.losses) == (1, 3)
    assert found.win_rate is not None and other.win_rate is not None
    assert tuple(found.win_rate) == pytest.approx(tuple(other.win_rate.negated()[at] + 1 for at in (0, 1, 2)))


def test_the_win_rate_of_single_votes_has_wilsons_interval() -> None:
    from scipy.stats import binomtest

    rate, effect = win_rate([(1, 1)] * 13 + [(0, 1)] * 7)
    ends = binomtest(13, 20).proportion_ci(method="wilson")
    assert (rate.low, rate.high, effect) == (pytest.approx(ends.low), pytest.approx(ends.high), 1.0)


def test_raters_who_say_the_same_count_as_one() -> None:
    one, _ = win_rate([(1, 1)] * 26 + [(0, 1)] * 14)
    five, effect = win_rate([(5, 5)] * 26 + [(0, 5)] * 14)
    assert effect == pytest.approx(5.0) and tuple(five) == pytest.approx(tuple(one))
    unanimous, _ = win_rate([(5, 5)] * 8)
    assert unanimous.low == pytest.approx(win_rate([(1, 1)] * 8)[0].low)


@pytest.mark.parametrize(("rate", "count"), [(0.5, 30), (0.7, 50), (0.85, 60), (0.6, 150)])
def test_the_win_rates_interval_covers_the_truth(rate: float, count: int) -> None:
    hits = []
    for seed in range(600):
        found = tally(votes_for(drawn(rate, count, seed=seed)), A, B).win_rate
        assert found is not None
        hits.append(found.low <= rate <= found.high)
    assert 0.925 <= mean(hits) <= 0.98


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_it_covers_the_truth_with_several_raters_on_each_item(alike: float) -> None:
    hits, plain = [], []
    for seed in range(400):
        found = tally(of_raters(40, 4, rate=0.6, alike=alike, seed=seed), A, B)
        assert found.win_rate is not None
        hits.append(found.win_rate.low <= 0.6 <= found.win_rate.high)
        low, high = win_rate([(1, 1)] * found.wins + [(0, 1)] * found.losses)[0][1:]
        plain.append(low <= 0.6 <= high)
    assert 0.92 <= mean(hits) <= 0.985
    assert alike < 0.9 or mean(plain) < 0.8  # what the design effect is for


def stopped(votes: Sequence[Vote], *, planned: int) -> int:
    """Look after every vote and stop at the first decision."""
    for seen in range(1, len(votes) + 1):
        if said := decision(votes[:seen], A, B, planned=planned):
            return said
    return 0


def test_two_equal_arms_are_told_apart_in_at_most_5_percent_however_often_one_looks() -> None:
    false = mean(stopped(votes_for(drawn(0.5, 80, seed=seed)), planned=80) != 0 for seed in range(400))
    assert 0 < false <= 0.05


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_so_they_are_with_several_raters_however_alike_they_think(alike: float) -> None:
    """The e-value's whole path is looked at by the last look, so one look finds all false stops."""
    runs = [of_raters(24, 3, rate=0.5, alike=alike, seed=seed) for seed in range(800)]
    assert 0 < mean(decision(votes, A, B, planned=72) != 0 for votes in runs) <= 0.05


def test_a_stop_stays_when_more_raters_come() -> None:
    for seed in range(40):
        votes = sorted(of_raters(60, 2, rate=0.8, alike=0.5, seed=seed), key=lambda one: (one.rater, one.item))
        said = [decision(votes[:seen], A, B, planned=999) for seen in range(1, len(votes) + 1)]
        assert sorted(said) == said


def test_raters_who_all_prefer_one_arm_decide_at_the_end() -> None:
    votes = [
        vote(item, kind, number=2 * item + at + 1, rater=f"r{at}")  # type: ignore[arg-type]
        for item in range(8)
        for at, kind in enumerate(("tie", "left"))
    ]
    assert decision(votes, A, B, planned=16) == 1 and decision(votes, B, A, planned=16) == -1
    assert decision(votes, A, B, planned=17) == 0


def test_a_better_arm_is_found_early_and_never_the_wrong_one() -> None:
    said = [stopped(votes_for(drawn(0.85, 80, seed=seed)), planned=80) for seed in range(60)]
    assert mean(one == 1 for one in said) >= 0.95 and -1 not in said


def test_votes_behind_the_planned_ones_give_no_second_chance_to_the_test_at_the_end() -> None:
    even = [1, -1] * 20
    ahead = votes_for(even + [1] * 12)
    assert decision(ahead, A, B, planned=40) == 0
    assert decision(ahead, A, B, planned=52) == 0
    assert decision(votes_for([-1] * 3 + [1] * 17), A, B, planned=20) == 1


@pytest.mark.parametrize(("rate", "decisive"), [(0.6, 194), (0.65, 85), (0.7, 47)])
def test_the_votes_to_go_are_those_of_the_table(rate: float, decisive: int) -> None:
    """From few votes to a power of 80%: 194 decisive votes for 60%, 85 for 65%, 47 for 70%."""
    many = round(1000 * rate)
    found = tally(votes_for([1] * many + [-1] * (1000 - many)), A, B)
    few = replace(found, wins=many // 25, losses=(1000 - many) // 25)
    assert votes_to_go(found) == 0
    assert votes_to_go(few) + few.judged == pytest.approx(decisive, rel=0.25)
    with_ties = replace(few, ties=few.decisive)
    assert votes_to_go(with_ties) + with_ties.judged == pytest.approx(2 * (votes_to_go(few) + few.judged), rel=0.05)


def test_an_open_session_tells_letters_and_a_closed_one_the_names() -> None:
    made = session(20)
    votes = votes_for([1] * 18 + [-1] * 2)
    opened = result_of(made, votes)
    text = json.dumps(opened.to_dict())
    assert opened.reveal is None and A not in text and B not in text
    assert {opened.pairs[0].tally.a, opened.pairs[0].tally.b} == {"A", "B"}
    closed = result_of(replace(made, closed=1.0), votes)
    assert closed.winner == A and closed.reveal is not None
    assert closed.reveal[str(opened.winner)] == A
    assert (closed.pairs[0].tally.wins, closed.pairs[0].tally.losses) in ((18, 2), (2, 18))


def test_letters_are_drawn() -> None:
    assert {shown_names(session(3, seed=seed))[A] for seed in range(20)} == {"A", "B"}


def test_a_decided_session_says_so_and_an_open_one_how_many_votes_it_takes() -> None:
    decided = result_of(session(40), votes_for([1] * 30 + [-1] * 10))
    assert decided.decided and decided.more_votes == 0 and decided.sentence.startswith("You can stop: decided.")
    assert "75% of 40 decisive votes" in decided.sentence
    close = result_of(session(40), votes_for([1, -1] * 20))
    assert not close.decided and close.more_votes > 500
    assert f"About {close.more_votes} more votes" in close.sentence
    none = result_of(session(40), [])
    assert not none.decided and none.sentence.startswith("No vote yet; 40 are planned.")


def test_identical_answers_belong_to_the_tie_share() -> None:
    mixed = items(10)
    mixed[:5] = [replace(item, answers=("same", "same")) for item in mixed[:5]]
    made = replace(session(10), items=tuple(mixed))
    found = result_of(made, [replace(one, item=one.item + 5) for one in votes_for([1, 1, 1, 1, 0])]).pairs[0]
    assert found.identical == 5 and found.tie_share == pytest.approx((5 + 5 * 0.2) / 10)


def test_a_repeat_tells_of_the_rater_and_counts_no_more() -> None:
    made, votes = session(10), votes_for([1] * 10)
    again = [
        replace(votes[at], number=20 + at, repeat=True, left=votes[at].right, right=votes[at].left) for at in range(4)
    ]
    # Two are the same arm again (the other side), two contradict: the same side again.
    flipped = [replace(one, kind="left" if one.left == A else "right") for one in again[:2]]
    stubborn = [replace(one, kind="right" if one.left == A else "left") for one in again[2:]]
    found = result_of(made, [*votes, *flipped, *stubborn])
    assert found.counted == 10 and found.agreement.by_rater == {"ann": (2, 4)}
    assert found.agreement.consistency is not None and found.agreement.consistency.estimate == 0.5
    assert "One rater's taste" in found.sentence


def test_results_come_by_tag_and_by_question_of_the_rubric() -> None:
    made = replace(session(6, tags=("near", "far"), questions=("Kinder?", "Shorter?")), closed=1.0)
    votes = [vote(item, "left" if item % 2 else "right", answers=("left", "")) for item in range(6)]
    found = result_of(made, votes)
    wins = {tag: (one.a, one.wins, one.losses) for tag, (one,) in found.by_tag.items()}
    first = wins["near"][0]
    assert wins == {
        "near": (first, *((0, 3) if first == A else (3, 0))),
        "far": (first, *((3, 0) if first == A else (0, 3))),
    }
    kinder, shorter = found.by_question["Kinder?"][0], found.by_question["Shorter?"][0]
    assert (max(kinder.wins, kinder.losses), kinder.judged, shorter.judged) == (6, 6, 0)
    assert set(found.alpha_by_tag.values()) == {None} == set(found.alpha_by_question.values())  # one rater alone


def test_agreement_comes_by_tag_and_by_question_of_the_rubric() -> None:
    made = replace(session(12, tags=("near", "far"), questions=("Kinder?", "Shorter?")), closed=1.0)
    said = ("left", "right")
    votes = []
    for rater in ("ann", "bob"):
        for item in range(12):
            kind = said[item // 2 % 2]  # of one mind on what is near, of two on what is far
            other = kind if rater == "ann" or item % 2 == 0 else said[1 - item // 2 % 2]
            answers = (kind, "" if rater == "bob" else "tie")
            votes.append(vote(item, other, rater=rater, answers=answers, number=len(votes) + 1))  # type: ignore[arg-type]
    found = result_of(made, votes)
    near, far = found.alpha_by_tag["near"], found.alpha_by_tag["far"]
    assert near is not None and near.estimate == 1.0 and far is not None and far.estimate < 0
    kinder = found.alpha_by_question["Kinder?"]
    assert kinder is not None and kinder.estimate == 1.0 and found.alpha_by_question["Shorter?"] is None
    assert found.to_dict()["alpha_by_tag"]["near"][0] == 1.0


def planted(strengths: dict[str, float], count: int, *, seed: int, ties: float = 0.15) -> list[Vote]:
    """Votes on every pair of arms with these strengths, each pair on items of its own prompt."""
    draw, names, made = draws(seed), list(strengths), []
    for item in range(count):
        for at, a in enumerate(names):
            for b in names[at + 1 :]:
                chance = 1 / (1 + np.exp(strengths[b] - strengths[a]))
                kind = "tie" if draw.random() < ties else "left" if draw.random() < chance else "right"
                made.append(vote(item, kind, left=a, right=b, number=len(made) + 1))  # type: ignore[arg-type]
    return made


def test_bradley_terry_recovers_planted_strengths() -> None:
    truth = {"p": 0.9, "q": 0.3, "r": -0.4, "s": -0.8}
    found = strengths_of(planted(truth, 1500, seed=1, ties=0), list(truth))
    assert [one.arm for one in found] == ["p", "q", "r", "s"]
    for one in found:
        assert one.strength == pytest.approx(truth[one.arm], abs=0.12)
        assert one.low < one.strength < one.high
    assert sum(one.best for one in found) == pytest.approx(1.0) and found[0].best > 0.99


def test_its_intervals_cover_the_truth() -> None:
    truth = {"p": 0.5, "q": 0.0, "r": -0.5}
    hits = []
    for seed in range(60):
        for one in strengths_of(planted(truth, 80, seed=seed, ties=0), list(truth), seed=seed):
            hits.append(one.low <= truth[one.arm] <= one.high)
    assert 0.9 <= mean(hits) <= 0.99


def test_an_arm_that_always_wins_has_a_finite_strength() -> None:
    found = bradley_terry(np.array([[0.0, 50.0, 50.0], [0.0, 0.0, 25.0], [0.0, 25.0, 0.0]]))
    assert np.all(np.isfinite(found)) and found[0] > 3 and found[1] == pytest.approx(found[2])


def test_of_three_arms_one_wins_that_beats_each_other() -> None:
    arms = ("p", "q", "r")
    made = replace(session(120, arms=arms), closed=1.0, votes_wanted=360)
    clear = result_of(made, planted({"p": 2.5, "q": 0.0, "r": -0.2}, 120, seed=3))
    assert clear.winner == "p" and "to every other" in clear.sentence and clear.strengths[0].arm == "p"
    close = result_of(made, planted({"p": 1.5, "q": 1.5, "r": -2.0}, 40, seed=3))
    assert close.winner is None and close.more_votes > 0


def test_alpha_of_krippendorffs_own_example() -> None:
    """Four observers, twelve units, values missing: .743 (Krippendorff 2011, example C)."""
    units = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]
    found = krippendorff_alpha(units)
    assert found is not None and found.estimate == pytest.approx(0.743, abs=0.001)
    assert found.low < found.estimate < found.high <= 1


def test_alpha_is_1_for_full_agreement_0_for_chance_and_none_where_it_is_not_defined() -> None:
    full = krippendorff_alpha(["aa", "bb", "cc"])
    assert full is not None and tuple(full) == (1.0, 1.0, 1.0)
    covered, estimates = [], []
    for seed in range(100):
        draw = draws(seed)
        chance = krippendorff_alpha(["".join(draw.choice("ab") for _ in range(3)) for _ in range(80)])
        assert chance is not None
        estimates.append(chance.estimate)
        covered.append(chance.low <= 0 <= chance.high)
    assert abs(mean(estimates)) < 0.02 and 0.88 <= mean(covered) <= 0.99
    assert krippendorff_alpha(["aa", "aa"]) is None and krippendorff_alpha(["a", "b"]) is None


def test_raters_agree_on_arms_and_not_on_sides() -> None:
    ann = votes_for([1, -1, 1, 0, 1, -1])
    bob = [
        replace(
            one,
            rater="bob",
            left=one.right,
            right=one.left,
            kind={"left": "right", "right": "left"}.get(one.kind, "both_bad"),
        )  # type: ignore[arg-type]
        for one in ann
    ]
    found = agreement_of([*ann, *bob])
    assert found.alpha is not None and found.alpha.estimate == 1.0
    assert (found.shared, found.raters) == (6, 2)


def test_the_winner_of_an_item_is_what_most_say() -> None:
    votes = [
        vote(0, "left"),
        vote(0, "left", rater="bob"),
        vote(0, "right", rater="cem"),
        vote(1, "left"),
        vote(1, "right", rater="bob"),
        vote(2, "tie"),
        vote(3, "skip"),
    ]
    assert winners(votes) == {0: A, 1: None, 2: None}
