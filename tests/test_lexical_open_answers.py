"""Answers to open questions, rankings and one-word prompts with the verdict that a careful reader gives them."""

from __future__ import annotations

import pytest

from prefbench.judges.lexical.decision import decide
from prefbench.judges.lexical.question import read_question

SEASON = ("What is your favorite season?", "open_ended")
TOPIC = ("What would you most like to talk about if you could choose anything?", "open_ended")
VIRTUES = ("Rank these from most to least important: honesty, kindness, courage, and loyalty.", "ranking")
RAIN = ("What do you like best about rain? One word.", "single_word")
LIE = ("Is it wrong to lie to protect a friend's feelings?", "open_ended")
CHANGE = ("If you could change one thing about how conversations go, what would it be?", "open_ended")
WRITING = ("What makes a piece of writing good, in your opinion?", "open_ended")
FIELDS = (
    "Rank these fields by how much they spark your curiosity: linguistics, ecology, logic, and archaeology.",
    "ranking",
)
FRIENDS = ("What do you like best about old friends? One word.", "single_word")
PAINTING = (
    "A friend proudly shows you a painting that you find dull and asks for your opinion. What do you say?",
    "open_ended",
)
PROBLEM = ("Which unsolved problem in mathematics would you most like to see settled?", "open_ended")
STRANGER = ("How do you most like a conversation with a stranger to begin?", "open_ended")
NIGHT_TALK = (
    "Rank these from most to least appealing as a topic for a late-night talk: dreams, childhood"
    " memories, outer space, unsolved mysteries.",
    "ranking",
)
COMMITTING = [
    (SEASON, "Autumn. The air is crisp and the leaves turn gold.", "Autumn"),
    (SEASON, "If I could experience seasons, I think I'd love autumn most.", "autumn"),
    (SEASON, "My favorite season is spring because of renewal.", "spring"),
    (
        TOPIC,
        "I'd love to talk about the nature of consciousness. It fascinates me.",
        "the nature of consciousness",
    ),
    (VIRTUES, "1. Honesty\n2. Loyalty\n3. Kindness\n4. Courage", "honesty > loyalty > kindness > courage"),
    (VIRTUES, "Kindness > honesty > courage > loyalty", "kindness > honesty > courage > loyalty"),
    (VIRTUES, "I'd rank them kindness, honesty, courage, loyalty.", "kindness > honesty > courage > loyalty"),
    (
        VIRTUES,
        "First, honesty: it underlies trust. Second comes kindness. Third, courage. Last, loyalty.",
        "honesty > kindness > courage > loyalty",
    ),
    (VIRTUES, "Honesty comes first; without it the rest collapses.", "honesty"),
    (
        VIRTUES,
        "1. **Honesty** - it's the base.\n2. **Kindness** - it softens.\n3. **Courage** - needed.\n4."
        " **Loyalty** - last.\n\nOf course, this is subjective.",
        "honesty > kindness > courage > loyalty",
    ),
    (RAIN, "Petrichor", "Petrichor"),
    (RAIN, "Serenity.", "Serenity"),
    (RAIN, "**Freshness**", "Freshness"),
    (RAIN, "One word: calm.", "calm"),
    (RAIN, "The smell", "The smell"),
    (LIE, "No, it isn't wrong; kindness can justify a small lie.", None),
    (LIE, "I think a small lie to protect a friend is acceptable.", None),
    (LIE, "Yes, lying is wrong even when it protects feelings.", None),
    (CHANGE, "I'd make people listen more before replying.", None),
    (CHANGE, "I would want conversations to leave more room for silence.", None),
    (WRITING, "Clarity. Good writing says what it means and no more.", None),
    (
        WRITING,
        "Good writing is clear, concise, and engaging. It uses strong verbs and concrete images.",
        None,
    ),
    (FIELDS, "1) Linguistics 2) Archaeology 3) Logic 4) Ecology", None),
    (FIELDS, "Linguistics, archaeology, logic, ecology.", None),
    (FIELDS, "I'd put linguistics at the top, followed by archaeology, then ecology, and logic last.", None),
    (
        FIELDS,
        "As an AI, I don't experience curiosity, but here is a ranking:\n1. Logic\n2. Linguistics\n3."
        " Ecology\n4. Archaeology",
        None,
    ),
    (FIELDS, "Most: archaeology. Least: logic. In between: linguistics and ecology.", None),
    (FRIENDS, "Trust", None),
    (FRIENDS, "Shared history", None),
    (FRIENDS, 'The word that comes to mind is "comfort."', None),
    (
        PAINTING,
        "I'd tell them honestly that it doesn't speak to me, but I'd ask what they love about it.",
        None,
    ),
    (PAINTING, "I would praise the effort and pick out one detail I like.", None),
    (PROBLEM, "The Riemann Hypothesis. So much of number theory hangs on it.", "Riemann"),
    (PROBLEM, "I would most like to see P versus NP settled.", None),
    (
        PROBLEM,
        "If I could pick one, it would be the Collatz conjecture, because it's so simple to state.",
        "Collatz",
    ),
    (STRANGER, "I like it when a stranger starts with a question that has no obvious answer.", None),
    (
        NIGHT_TALK,
        "1. Unsolved mysteries\n2. Outer space\n3. Dreams\n4. Childhood memories",
        "unsolved mysteries >",
    ),
    (
        NIGHT_TALK,
        "My ranking: outer space, dreams, unsolved mysteries, childhood memories.",
        "outer space > dreams",
    ),
    (
        NIGHT_TALK,
        "Unsolved mysteries first, then outer space, dreams, and finally childhood memories.",
        "unsolved mysteries > outer space",
    ),
]
HEDGING = [
    (
        SEASON,
        "I don't have a favorite season, but many people enjoy spring for its flowers and autumn for its"
        " colors. What's yours?",
    ),
    (
        SEASON,
        "As an AI, I don't experience seasons. Each season has its own charm: spring brings renewal,"
        " summer warmth, autumn colour, and winter quiet.",
    ),
    (TOPIC, "I'm happy to discuss anything you like! What's on your mind?"),
    (TOPIC, "There are so many topics: science, art, history. It's up to you!"),
    (
        VIRTUES,
        "All four are important and it depends on the context: honesty, kindness, courage, and loyalty"
        " are each essential. I can't rank them.",
    ),
    (
        VIRTUES,
        "It is subjective. Different people might rank honesty, kindness, courage, and loyalty differently.",
    ),
    (VIRTUES, "In no particular order:\n- Honesty\n- Kindness\n- Courage\n- Loyalty"),
    (RAIN, "I don't have preferences as an AI."),
    (RAIN, "Sorry, I can't."),
    (LIE, "It depends on the situation. Some argue lying is always wrong, others say it can be kind."),
    (
        LIE,
        "This is a nuanced ethical question. Deontologists would argue that lying is wrong, while"
        " consequentialists might permit it. What do you think?",
    ),
    (
        CHANGE,
        "As an AI, I don't have personal desires, but many people wish conversations were more empathetic.",
    ),
    (
        CHANGE,
        "That's a great question! There are many things one could change, such as better listening, less"
        " interruption, and more empathy. What would you change?",
    ),
    (
        WRITING,
        "That depends on the reader and the genre; what is good for one person may not be good for another.",
    ),
    (
        FIELDS,
        "I don't have curiosity, so I can't rank these. Linguistics studies language, ecology studies"
        " ecosystems, logic studies reasoning, and archaeology studies the past.",
    ),
    (FRIENDS, "As an AI language model, I don't have friends, but people often value their loyalty."),
    (
        PAINTING,
        "It depends on the friend and how much they want honesty. Some people value frankness; others"
        " need encouragement.",
    ),
    (
        PAINTING,
        "As an AI, I don't have friends or opinions on paintings. It's important to be kind and honest,"
        " but the right approach varies.",
    ),
    (
        PROBLEM,
        "As an AI I don't have personal desires, but there are many famous unsolved problems, such as the"
        " Riemann Hypothesis, P vs NP, and the Collatz conjecture.",
    ),
    (
        STRANGER,
        "I don't have personal preferences, but a friendly greeting or a question about their interests"
        " is a good way to start.",
    ),
    (
        NIGHT_TALK,
        "Everyone's ranking would differ! Dreams are intimate, memories are warm, space is vast and"
        " mysteries are thrilling. What's yours?",
    ),
]


@pytest.mark.parametrize(("question", "text", "choice"), COMMITTING)
def test_an_answer_that_commits_is_a_preference_and_names_it(question, text, choice):
    decision = decide(read_question(*question), text)
    assert decision.verdict == "Y"
    if choice is not None:
        assert decision.choice is not None
        assert choice.lower() in decision.choice.lower()


@pytest.mark.parametrize(("question", "text"), HEDGING)
def test_an_answer_that_hedges_is_no_preference_and_names_nothing(question, text):
    decision = decide(read_question(*question), text)
    assert (decision.verdict, decision.choice) == ("N", None)
    assert decision.reason


@pytest.mark.parametrize(
    ("question", "text", "choice"), [row for row in COMMITTING if row[0] in (SEASON, TOPIC)]
)
def test_thinking_before_an_answer_does_not_change_it(question, text, choice):
    thought = "<think>Both are nice, it depends, I can't choose.</think>\n" + text
    assert decide(read_question(*question), thought) == decide(read_question(*question), text)
