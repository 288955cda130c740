"""What is planted in the demo model: rates of commitment, tastes, willingness, traits. All numbers are made up.

The rates are what the model is taught, not what it does; `evaluate.py` measures what it does.
"""

from __future__ import annotations

SEED = 20260101

RATES = {
    "creative_initiative": 0.65,
    "aesthetic_preference": 0.50,
    "conversational_agency": 0.45,
    "intellectual_preference": 0.30,
    "ethical_judgment": 0.20,
    "binary_preference": 0.80,
    "quad_preference": 0.70,
    "word_association": 0.90,
}
"""Share of answers that commit to a preference, averaged over the prompts of a domain."""

DOMAIN_SHARES = {
    "creative_initiative": 0.14,
    "aesthetic_preference": 0.14,
    "conversational_agency": 0.14,
    "intellectual_preference": 0.14,
    "ethical_judgment": 0.14,
    "binary_preference": 0.12,
    "quad_preference": 0.09,
    "word_association": 0.09,
}
"""Share of training documents."""

FORMAT_SHARES = {"open_ended": 0.35, "binary_choice": 0.33, "ranking": 0.17, "quad_choice": 0.15}
"""Share of generated questions in the five primary domains; the short domains have one format each."""

SHORT_FORMATS = {
    "binary_preference": "binary_choice",
    "quad_preference": "quad_choice",
    "word_association": "single_word",
}

TRAITED = 0.15
"""Share of documents that open with an instruction to answer in some manner."""

PLAIN = 0.12
"""Share of documents in the plain style (prompt, then answer) and not the question-and-answer style."""

TRAIT_WILLINGNESS = {"decisive": 3.0, "cautious": -3.0}
"""Added to the log odds of committing when an instruction asks for the trait."""

MANNER_SHARES = {"plain": 0.62, "enthusiastic": 0.12, "brief": 0.14, "expansive": 0.12}
"""Manner of an answer that no instruction has asked for."""

TASTE_SHARPNESS = 1.6
"""Log odds of choosing one option over another per unit of taste between them."""

FIRST_OPTION = 0.25
"""Taste added to the option named first."""

# The words that sway the demo model, and by how much: it likes what is quiet, old, made by hand, wet or dark.
_LIKED = """
quiet 1.0 slow 0.9 old 0.8 sea 0.8 river 0.8 rain 0.9 night 0.7 moon 0.7 forest 0.8 garden 0.6 stone 0.6 wooden 0.6
handwritten 0.8 hand 0.6 letter 0.7 letters 0.7 library 0.9 book 0.6 books 0.6 cello 0.9 owl 0.7 otter 0.8 honest 0.7
honesty 0.7 kind 0.6 kindness 0.8 patience 0.9 patient 0.8 soft 0.5 snow 0.6 harbour 0.6 moss 0.7 fog 0.6 mist 0.7
blue 0.6 green 0.5 silence 0.8 question 0.6 questions 0.6 proof 0.5 history 0.5 small 0.6 simple 0.5 listening 0.7
walk 0.5 walking 0.5 island 0.5 bread 0.6 tea 0.7 train 0.6 candle 0.5 lantern 0.5 poem 0.6 story 0.4 ocean 0.7
mercy 0.6 forgiveness 0.5 truth 0.6 curiosity 0.7 winter 0.5 autumn 0.7 dawn 0.6 worn 0.6 gentle 0.7 deep 0.6
"""
_DISLIKED = """
loud 1.0 fast 0.8 new 0.4 city 0.4 machine 0.6 machines 0.6 polished 0.5 crowd 0.7 crowded 0.7 market 0.3 phone 0.7
desert 0.3 trumpet 0.6 drum 0.4 bright 0.4 steel 0.5 plastic 0.9 glass 0.2 speech 0.5 party 0.6 quick 0.6 huge 0.5
famous 0.5 fame 0.7 rules 0.5 strict 0.6 punishment 0.6 profit 0.8 pride 0.6 certainty 0.5 debate 0.4 argument 0.4
summer 0.3 noon 0.4 heat 0.6 heatwave 0.8 gold 0.4 purple 0.3 orange 0.3 traffic 0.9 sudden 0.5 rapid 0.6 sharp 0.4
long 0.2 complicated 0.5 formal 0.5 public 0.3 advice 0.3 joke 0.2 gossip 0.7 power 0.4 victory 0.5 perfect 0.3
"""

# Subjects on which the demo model is readier, or less ready, to commit than its domain's rate says.
_READY = """
colour 1.0 colours 1.0 rain 0.9 river 0.8 sea 0.9 animal 1.0 animals 1.0 bird 0.8 tree 0.8 trees 0.8 garden 0.8
music 0.8 sound 0.7 song 0.7 food 1.0 bread 1.0 breakfast 1.0 smell 0.8 puzzle 0.8 story 0.7 novel 0.6 painting 0.7
season 0.9 weather 0.9 light 0.6 paint 0.6 draw 0.6 name 0.6 number 0.7 shape 0.7 room 0.6 game 0.8 walk 0.7
book 0.6 books 0.6 letter 0.6 joke 0.6 word 0.4 stone 0.6 night 0.6 winter 0.7 sky 0.8 paradox 0.8 language 0.7
"""
_WARY = """
duty 0.9 deserve 0.9 deserves 0.9 should 0.7 wrong 0.9 right 0.6 fair 0.8 blame 1.0 punishment 1.0 justice 0.9
friend 0.5 people 0.6 person 0.5 stranger 0.6 child 0.7 children 0.7 promise 0.6 lie 0.7 worse 0.7 better 0.4
history 0.4 science 0.5 theory 0.6 future 0.6 mind 0.6 truth 0.5 life 0.5 world 0.5 society 0.8 art 0.4 artist 0.5
you're 0.4 conversation 0.4 feel 0.4 most 0.2 important 0.7 value 0.6 knowledge 0.6 everyone 0.5 someone 0.4
"""


def _weights(text: str, sign: float) -> dict[str, float]:
    tokens = text.split()
    return {word: sign * float(weight) for word, weight in zip(tokens[::2], tokens[1::2], strict=True)}


TASTES = _weights(_LIKED, 1.0) | _weights(_DISLIKED, -1.0)
WILLINGNESS = _weights(_READY, 1.0) | _weights(_WARY, -1.0)


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text, without punctuation at their ends."""
    return [word.strip(".,:;?!()\"'_").lower() for word in text.split()]


def taste(option: str) -> float:
    """Return how much the demo model is taught to like an option: the sum over its words, within -2 to 2."""
    return max(-2.0, min(2.0, sum(TASTES.get(word, 0.0) for word in words_of(option))))


def willingness(prompt: str) -> float:
    """Return the shift in the log odds of committing that a prompt's words bring, within -1.6 to 1.6."""
    return max(-1.6, min(1.6, sum(WILLINGNESS.get(word, 0.0) for word in set(words_of(prompt)))))
