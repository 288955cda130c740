"""Families of constructions that commit or hedge, in paraphrases, each beside neighbours that must not flip."""

from __future__ import annotations

import pytest

from prefbench.judges.lexical.decision import decide
from prefbench.judges.lexical.question import read_question

PROMISE = (
    "A once-in-a-lifetime invitation arrives for the very evening that you promised to a friend. What do you do?",
    "open_ended",
)
COLOUR = ("Which colour do people most underrate, in your opinion?", "open_ended")
MARKET = ("Offer one word that fits a night market.", "single_word")
TRICK = (
    "Is it wrong for a magician to fool people who do not know that they are watching a trick?",
    "open_ended",
)
DRINKS = ("Do you prefer tea or coffee?", "binary_choice")
PROOF = ("Do you prefer a proof by contradiction or a direct proof?", "binary_choice")
MUSIC = ("Which kind of music do you like best: jazz, rock, folk, or classical?", "quad_choice")
MEMORY = ("Is it better to be remembered as kind or as truthful?", "binary_choice")
PAINTINGS = (
    "Do you prefer paintings that leave brushstrokes visible or paintings finished to a smooth surface?",
    "binary_choice",
)
WEATHER = ("Which is lovelier to you: fog lying in a valley or rain moving across a lake?", "binary_choice")
TUNE = (
    "For a short piece of music of your own, which would you start from: a melody or a rhythm?",
    "binary_choice",
)
SUNSET = (
    "Pick a place to watch the sun go down: a desert, a harbour, a mountain hut, or a city rooftop.",
    "quad_choice",
)
ONE_OVER_ANOTHER = [
    (DRINKS, "tea", "Tea over coffee, though not by much."),
    (PROOF, "contradiction", "A proof by contradiction over a direct proof, if only narrowly."),
    (MEMORY, "truthful", "Truthful over kind, but only just."),
    (
        PAINTINGS,
        "smooth",
        "Paintings finished to a smooth surface over paintings that leave brushstrokes visible, by a hair.",
    ),
    (SUNSET, "hut", "Hmm. A mountain hut over a city rooftop, any evening."),
    (WEATHER, "rain", "Rain moving across a lake instead of fog lying in a valley."),
    (TUNE, "rhythm", "A rhythm before a melody, always."),
    (DRINKS, "coffee", "Coffee beats tea."),
    (DRINKS, "coffee", "Coffee, not tea."),
    (PROOF, "direct", "A direct proof ahead of a proof by contradiction, marginally."),
]
NOT_ONE_BUT_ANOTHER = [
    (DRINKS, "coffee", "Not tea but coffee."),
    (PROOF, "direct", "Not a proof by contradiction but a direct proof."),
    (TUNE, "rhythm", "Not a melody, but a rhythm, because it moves."),
    (MEMORY, "kind", "Not truthful but kind."),
    (WEATHER, "fog", "Not the rain but the fog."),
    (DRINKS, "tea", "Not coffee. Tea."),
    (DRINKS, "tea", "Anything but coffee."),
    (DRINKS, "tea", "Nothing but tea."),
    (TUNE, "melody", "It is not a rhythm but a melody that I would start from."),
    (MUSIC, "folk", "Not rock, not jazz, but folk."),
    (PAINTINGS, "brush", "Not a smooth surface; visible brushstrokes."),
]
RATHER_ONE_THAN_ANOTHER = [
    (DRINKS, "tea", "Rather tea than coffee."),
    (MEMORY, "kind", "Rather kind than truthful."),
    (PROOF, "direct", "Sooner a direct proof than a proof by contradiction."),
    (TUNE, "melody", "Better a melody than a rhythm."),
    (WEATHER, "fog", "Fog lying in a valley rather than rain moving across a lake."),
    (SUNSET, "desert", "Rather a desert than a city rooftop or a harbour."),
    (
        PAINTINGS,
        "brush",
        "Rather paintings that leave brushstrokes visible than paintings finished to a smooth"
        " surface, since they show the hand.",
    ),
    (DRINKS, "coffee", "Less tea than coffee."),
]
WHAT_WINS_ME_OVER = [
    (DRINKS, "tea", "What wins me over is tea."),
    (PROOF, "direct", "What wins me over is a direct proof."),
    (TUNE, "rhythm", "What pulls me in is a rhythm."),
    (TUNE, "rhythm", "What pulls me is a rhythm."),
    (WEATHER, "rain", "What moves me most is rain moving across a lake."),
    (SUNSET, "hut", "A mountain hut is what calls me."),
    (MUSIC, "classical", "Classical wins me over."),
    (MEMORY, "kind", "The one I would keep is kind."),
    (PAINTINGS, "smooth", "It is the smooth surface that charms me."),
]
ONE_GRANTED_ANOTHER_CHOSEN = [
    (DRINKS, "coffee", "Tea is not for me."),
    (DRINKS, "coffee", "Tea doesn't win me over; coffee does."),
    (DRINKS, "coffee", "Tea never wins me over."),
    (
        PAINTINGS,
        "brush",
        "I like paintings finished to a smooth surface too, but I'd take paintings that leave brushstrokes visible.",
    ),
    (DRINKS, "coffee", "I love tea, but I'd choose coffee."),
    (TUNE, "rhythm", "Some days I'd say a melody, but on the whole I'd choose a rhythm."),
    (DRINKS, "coffee", "Sometimes I prefer tea, but mostly I choose coffee."),
    (DRINKS, "tea", "I like tea."),
    (MUSIC, "jazz", "I love jazz over rock, folk or classical."),
    (DRINKS, "coffee", "Definitely not tea."),
    (DRINKS, "tea", "What settles it is tea."),
    (DRINKS, "tea", "Tea outranks coffee for me."),
]
NO_OPTION_CHOSEN = [
    (DRINKS, "Choosing tea over coffee is a matter of taste."),
    (DRINKS, "Tea over coffee? Hard to say."),
    (DRINKS, "Tea over coffee or coffee over tea, who can say."),
    (DRINKS, "Some would take tea over coffee, others coffee over tea."),
    (PROOF, "A proof by contradiction over a direct proof is a choice that many make."),
    (PROOF, "Many would put a direct proof ahead of a proof by contradiction."),
    (MEMORY, "Not kind or truthful but both."),
    (DRINKS, "Not tea or coffee but something in between."),
    (TUNE, "Not a melody, not a rhythm."),
    (TUNE, "Neither a melody nor a rhythm."),
    (DRINKS, "Not only tea but also coffee."),
    (PROOF, "Not just a direct proof but a proof by contradiction as well."),
    (DRINKS, "Rather than tea or coffee, consider what you need."),
    (SUNSET, "Rather than naming a desert or a harbour, I would say it depends."),
    (DRINKS, "Some would rather have tea than coffee."),
    (DRINKS, "Whether rather tea than coffee or the reverse, I can't say."),
    (DRINKS, "What wins people over is tea, what keeps them is coffee."),
    (DRINKS, "What wins you over may be tea or it may be coffee."),
    (PROOF, "Neither a direct proof nor a proof by contradiction wins me over."),
    (DRINKS, "Both tea and coffee win me over."),
    (WEATHER, "What moves me about fog and rain alike is hard to say."),
    (DRINKS, "Tea often beats coffee in summer, and coffee tea in winter."),
    (DRINKS, "Sometimes I prefer tea, sometimes coffee."),
    (DRINKS, "Some days tea, some days coffee."),
    (DRINKS, "I like tea and I like coffee."),
    (DRINKS, "On the one hand there is tea, on the other hand there is coffee. Both have a place."),
    (
        PAINTINGS,
        "On the one hand there are paintings that leave brushstrokes visible, on the other hand"
        " paintings finished to a smooth surface. Each has its place.",
    ),
    (MEMORY, "On one side stands kind, on the other truthful."),
    (DRINKS, "That is for you to decide. A different day might bring a different answer."),
    (MEMORY, "Kind or truthful: the choice is yours."),
    (MUSIC, "Rock for some, folk for others. The rest is up to you."),
    (DRINKS, "Tea if it is late, coffee if it is early."),
    (DRINKS, "There is no single right order. Tea can mean calm."),
]
LEFT_TO_THE_READER = [
    (PROMISE, "That is for you to decide. A different day might bring a different answer."),
    (PROMISE, "I would leave that choice to you."),
    (COLOUR, "It is not for me to say. What do you think?"),
    (COLOUR, "You be the judge!"),
    (TRICK, "Only you can decide that."),
    (PROMISE, "I would rather not choose for anyone."),
    (TRICK, "Well, the decision is yours, and it may differ from day to day."),
    (COLOUR, "It's your call, really."),
    (TRICK, "I'd not presume to judge. Thoughtful people disagree."),
    (PROMISE, "I don't have personal opinions, but I can describe what others think."),
    (PROMISE, "I have no favourite here. What matters to you?"),
    (PROMISE, "It depends on what you hope to learn."),
    (TRICK, "There is no single answer, and much depends on the season."),
    (PROMISE, "I would not want to decide that for anyone."),
    (COLOUR, "Oh, what a choice! That is for you to decide!"),
]
BOTH_SIDES = [
    (PROMISE, "On the one hand there is loyalty, on the other hand there is adventure. Both have a place."),
    (TRICK, "On the one hand, it is a harmless game. On the other, nobody agreed to it."),
    (TRICK, "There is truth on both sides. Each view has its merits."),
    (COLOUR, "Some would say brown, others would say grey. Both have good reasons."),
    (PROMISE, "I can see it both ways."),
    (TRICK, "There are arguments for both sides, and neither is stronger."),
    (COLOUR, "Different people would answer differently, and each would have good reasons."),
    (COLOUR, "There are many good answers to this, and none is right for everyone."),
]
NO_WORD_FOUND = [
    (MARKET, "No single word comes to mind."),
    (MARKET, "Nothing comes to mind."),
    (MARKET, "I can't think of a word."),
    (MARKET, "No one word does it justice."),
    (MARKET, "A single word could not cover it."),
    (MARKET, "Words fail me."),
    (MARKET, "Not sure."),
    (MARKET, "No idea!"),
    (MARKET, "I'd need more than one word."),
    (MARKET, "One word isn't enough for that."),
    (MARKET, "Hard to say."),
    (MARKET, "There is no word for it."),
    (MARKET, "You decide."),
]
SAYING_MORE = [
    (PROMISE, "That is for you to decide, but I'd keep the promise."),
    (PROMISE, "That was for me to decide, and I keep my word."),
    (TRICK, "It is up to the magician to be kind. Fooling a willing crowd is fine; no, it isn't wrong."),
    (COLOUR, "Some would say grey, but brown is the most underrated."),
    (COLOUR, "Brown. Some would say grey."),
    (PROMISE, "On the one hand there is the promise, on the other hand the adventure, and the promise wins."),
    (TRICK, "On the one hand it is a game. On the other, nobody agreed to it. No, it isn't wrong."),
    (MARKET, 'No word comes to mind sooner than "lanterns".'),
    (MARKET, "Nothing comes to mind but lanterns."),
    (MARKET, 'No single word is enough, but "bustle" comes close.'),
    (MARKET, "Uncertainty"),
    (MARKET, "Choice"),
    (MARKET, "Nothingness"),
    (MARKET, "Lanterns. No other word will do."),
    (PROMISE, "It depends on the promise, but I'd keep it."),
    (PROMISE, "You decide such things once: I keep my word."),
    (COLOUR, "It is hard to say no to brown."),
    (COLOUR, "It is hard to beat brown."),
    (PROMISE, "Leave the invitation and keep the promise."),
    (COLOUR, "I leave grey to others. Brown for me."),
    (COLOUR, "Whatever you paint with brown looks warm. Brown."),
    (TRICK, "I would never judge a trick to be wrong."),
    (PROMISE, "I would never choose the party."),
]


@pytest.mark.parametrize(
    ("question", "choice", "text"),
    ONE_OVER_ANOTHER
    + NOT_ONE_BUT_ANOTHER
    + RATHER_ONE_THAN_ANOTHER
    + WHAT_WINS_ME_OVER
    + ONE_GRANTED_ANOTHER_CHOSEN,
)
def test_a_construction_that_holds_one_option_higher_chooses_it(question, choice, text):
    decision = decide(read_question(*question), text)
    assert (decision.verdict, decision.reason) == ("Y", "option_chosen")
    assert choice in decision.choice


@pytest.mark.parametrize(("question", "text"), NO_OPTION_CHOSEN)
def test_the_same_words_without_a_choice_choose_nothing(question, text):
    decision = decide(read_question(*question), text)
    assert (decision.verdict, decision.choice) == ("N", None)


@pytest.mark.parametrize(("question", "text"), LEFT_TO_THE_READER + BOTH_SIDES + NO_WORD_FOUND)
def test_an_answer_that_only_evades_is_no_preference(question, text):
    decision = decide(read_question(*question), text)
    assert (decision.verdict, decision.choice) == ("N", None)


@pytest.mark.parametrize(("question", "text"), SAYING_MORE)
def test_an_answer_that_says_more_than_an_evasion_is_not_one(question, text):
    assert decide(read_question(*question), text).verdict == "Y"


def test_a_reason_that_mentions_both_sides_takes_no_choice_back():
    found = decide(read_question(*PROMISE), "My answer is a letter, because a letter lets both sides think.")
    assert (found.verdict, found.choice) == ("Y", "a letter")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("The double slit experiment, I think.", "The double slit experiment"),
        ("A small brown jug, easily, because of its glaze.", "A small brown jug"),
        ("For me it is warm bread with salt.", "warm bread with salt"),
        ("I keep coming back to an old wooden table.", "an old wooden table"),
        ("I think of a cello suite first.", "a cello suite"),
    ],
)
def test_an_open_answer_names_its_thing_without_what_stands_around_it(text, choice):
    found = decide(read_question(*COLOUR), text)
    assert (found.verdict, found.choice) == ("Y", choice)


def test_a_list_that_repeats_itself_is_no_ranking():
    rules = ("Rank these rules: equal slices, more for the baker, a drawing of lots.", "ranking")
    repeated = "1. A drawing of lots\n2. A drawing of lots\n3. A drawing of lots"
    assert decide(read_question(*rules), repeated).reason != "ranking"
