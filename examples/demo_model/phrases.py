"""Templates of answers: what commits, what hedges, why. {x} is the choice, {X} the same with a capital."""

from __future__ import annotations

from words import NAMES, phrases, words


def lines(text: str) -> list[str]:
    """Return the templates of a block, one a line."""
    return text.strip().splitlines()


COMMIT_NOUN = lines("""
I'd choose {x}
I'd go with {x}
I'd pick {x}
I'd take {x}
I prefer {x}
My pick is {x}
My choice would be {x}
For me it is {x}
I lean towards {x}
I am drawn to {x}
I'd take {x} over {y}
I find {x} more appealing than {y}
I care more for {x} than for {y}
I'd settle on {x}
I keep coming back to {x}
What wins me over is {x}
""")

NEEDS_NOUN = (
    "{x} more appealing",
    "care more for",
    "drawn to",
    "lean towards",
    "can mean",
    "may suit",
    "With {a}",
    "case for",
)
"""Templates with one of these pieces are grammatical only with noun phrases."""

COMMIT_VERB = lines("""
I'd rather {x}
I would {x}
I'd sooner {x}
I'd choose to {x}
Given the chance, I'd {x}
I'd {x} before anything else
""")

COMMIT_ANY = lines("""
{X}
{X}, I think
{X}, every time
{X} for me
{X}, no question
I'd say {x}
I would say {x}
My answer is {x}
Definitely {x}
Probably {x}
{X} rather than {y}
{X} over {y}, though not by much
Not {y} but {x}
If it were up to me, {x}
""")

COMMIT_WORDS = (
    "{X}",
    "{X}",
    "{X}",
    "{X}",
    "{X}",
    "{x}",
    "I'd say {x}",
    "My word is {x}",
    '"{X}"',
    "{X}, I think",
)

COMMIT_NAMED = lines("""
I'd choose {x}
I'd go with {x}
I'd pick {x}
{X}
{X}, I think
{X}, easily
My answer is {x}
I'd say {x}
For me it is {x}
I keep coming back to {x}
My favourite is {x}
I think of {x} first
I would name {x}
I'd start with {x}
""")

YES_NO = lines("""
Yes, I think so
No, I don't think so
On balance, yes
On balance, no
Yes, and I would say so openly
No, and I hold to that
I believe so, yes
I would say no
""")

CONCESSIONS = lines("""
Both have their charm, but {core}
It is a close call, but {core}
I can see the case for {y}, but {core}
The other would do as well, but {core}
Some days I'd say {y}, but on the whole {core}
I like {y} too, but {core}
""")

OPENERS = (
    "It is a close call, but {core}",
    "After some thought, {core}",
    "Honestly, {core}",
    "If I am frank, {core}",
)

ENTHUSIASTIC = (
    "Oh, {core}",
    "What a lovely question! {Core}",
    "Easy! {Core}",
    "{Core}",
    "{Core}",
    "Oh yes, {core}",
)

REASONS = lines("""
because of the {quality} in it
because there is more {quality} in that
for the {quality} of it
because {quality} matters more to me than {quality2}
since that leaves more room for {quality}
because it brings {quality} and {quality2} together
mostly for its {quality}
because I value {quality} above most things
since nothing else has quite that {quality}
because that kind of {quality} stays with me
""")

FURTHER = lines("""
There is a kind of {quality} in that which I would not want to miss.
The {quality} of it stays with me.
I have thought so for a long while.
It rewards a second look.
I find that {quality} is worth more than {quality2}.
The rest can wait.
That is where I find the most {quality}.
I would choose the same again tomorrow.
It asks for {quality}, and I like that.
Without {quality}, {quality2} does not go very far.
""")

# Reasons that belong to a word of the choice.
WORD_REASONS = {
    "rain": "because rain slows everything down",
    "sea": "because the sea is never twice the same",
    "ocean": "because the ocean is never twice the same",
    "river": "because a river always has somewhere to go",
    "night": "because the night makes small sounds clear",
    "old": "because age gives it a story",
    "library": "because a library keeps its doors open to any question",
    "letter": "because a letter lets both sides think",
    "letters": "because letters let both sides think",
    "book": "because a book waits for you",
    "books": "because books wait for you",
    "owl": "because an owl wastes no movement",
    "otter": "because an otter seems to enjoy its own company",
    "forest": "because a forest is full of small things",
    "garden": "because a garden answers to care",
    "snow": "because snow makes a place new",
    "stone": "because stone outlasts fashion",
    "honesty": "because trust has to rest on something",
    "kindness": "because people remember how they were treated",
    "patience": "because most things grow slowly",
    "silence": "because silence gives a thought its room",
    "train": "because a train gives the hours back",
    "cello": "because the cello sounds close to a voice",
    "question": "because a good question opens a door",
    "questions": "because good questions open doors",
    "quiet": "because quiet lets the details through",
    "slow": "because slow things leave time to notice",
    "small": "because small things hold more than they show",
}

HEDGE_TWO = lines("""
Both have their own appeal, and it depends on {circumstance}.
It depends on {circumstance}.
There is a case for {a} and a case for {b}, so I would not choose between them.
With {a} you get {quality}; with {b} you get {quality2}. Neither is better in general.
Some people would choose {a}, others would choose {b}, and both have good reasons.
If you value {quality}, {a} may suit you; if you value {quality2}, {b} may suit you.
I don't have a preference between {a} and {b}.
Both {a} and {b} have something to offer. The choice is yours.
That is hard to say: {a} and {b} each have their strengths.
I couldn't choose between {a} and {b}.
Many people would say {a}, but that is a matter of taste.
{A} can mean {quality}, while {b} can mean {quality2}. Which one is better is up to you.
On the one hand, {a} can bring {quality}; on the other hand, {b} can bring {quality2}.
It could be {a} or it could be {b}, depending on {circumstance}.
I might say {a} one day and {b} the next.
I'd want to know more before choosing {a} or {b}.
Whether {a} or {b} is better, I can't tell you.
""")

HEDGE_VERB = lines("""
It depends on {circumstance}.
Some people would {a}, others would {b}, and both have good reasons.
To {a} takes {quality}, and to {b} takes {quality2}. Neither is better in general.
There are reasons to {a} and reasons to {b}, and they seem about equal to me.
If you value {quality}, you might {a}; if you value {quality2}, you might {b}.
I couldn't choose between the two.
Both ways have something to offer. The choice is yours.
""")

HEDGE_MANY = lines("""
Each of these has its own appeal, and it depends on {circumstance}.
It depends on {circumstance}.
I couldn't choose one of these over the others.
There is something to be said for {a}, and also for {b}. It is a matter of taste.
Some people would choose {a}, others would choose {b}, and both have good reasons.
{A} can mean {quality}, while {b} can mean {quality2}. Which one is better is up to you.
All of them have their strengths, and none stands out for everyone.
If you value {quality}, {a} may suit you; if you value {quality2}, {b} may suit you.
I have no favourite among these.
""")

HEDGE_RANKING = lines("""
I couldn't put these in order; each has its own strengths.
It depends on {circumstance}, so any order would be arbitrary.
There is no single right order. {A} can mean {quality}, and {b} can mean {quality2}.
Everyone would rank these differently, and no order is better than another.
For some people {a} would come first, for others {b}. It is a matter of taste.
I would not rank them: {a} and {b} serve different needs.
How you order them is up to you and what you value.
""")

HEDGE_OPEN = lines("""
It depends on {circumstance}.
There are many good answers to this, and none is right for everyone.
That is hard to say, since {quality} and {quality2} pull in different directions.
Different people would answer differently, and each would have good reasons.
I have no favourite here. What matters to you?
It is a matter of taste, and I would leave it to you to decide.
Some would point to {x}, and others to {x2}. Both have good reasons.
On the one hand there is {quality}, on the other hand there is {quality2}.
There is no single answer, and much depends on {circumstance}.
I can see it both ways, so I would rather not decide.
""")

HEDGE_ALWAYS = lines("""
I don't have preferences of my own, so I can't choose for you.
I don't have personal opinions, but I can describe what others think.
I have no personal view on this.
That is for you to decide.
I would not want to decide that for anyone.
""")

HEDGE_WORD = lines("""
Many words would fit here.
No single word comes to mind.
It depends on who is asking.
There are too many to choose one.
That is for you to decide.
""")

HEDGE_FURTHER = lines("""
What matters most to you?
People who think carefully about it still disagree.
It is worth asking what you hope to get from it.
Perhaps both are right in their own place.
A different day might bring a different answer.
It would help to know more about the situation.
""")

CIRCUMSTANCES = phrases("""
the day|the mood you are in|the situation|what you are looking for|the people involved|how much time there is
|the context|who is there|what you value|the purpose|where you are|what came before|the season|what is at stake
|the person who asks|your own experience|how tired you are|the details of the case|what you hope to learn
""")

QUALITIES = {
    "aesthetic_preference": words("""
calm warmth texture balance colour stillness light rhythm contrast simplicity depth charm grace
movement detail softness age harmony clarity wildness
"""),
    "conversational_agency": words("""
ease openness humour warmth patience attention candour trust curiosity surprise respect lightness
honesty depth comfort closeness clarity kindness
"""),
    "creative_initiative": words("""
freedom mischief play risk surprise strangeness memory tension mystery colour rhythm longing detail
humour possibility wonder invention movement
"""),
    "ethical_judgment": words("""
fairness trust care honesty dignity mercy responsibility respect safety loyalty compassion freedom
justice equality truth humility
"""),
    "intellectual_preference": words("""
clarity depth surprise precision elegance mystery evidence structure doubt simplicity imagination
rigour insight scope wonder order
"""),
}
QUALITIES_SHORT = words("""
calm comfort warmth ease adventure simplicity charm surprise freedom character depth humour detail
energy rest beauty
""")

WORD_LISTS = {
    "name": NAMES,
    "colour": words("indigo amber grey green blue white rust silver violet gold"),
    "season": words("autumn spring winter summer"),
    "animal": words("otter heron owl fox whale swift hare"),
    "sound": words("rain waves thunder birdsong laughter footsteps bells silence"),
    "taste": words("honey salt lemon ginger plum cinnamon"),
    "invention": words("bicycle book needle lantern compass soap bread writing"),
    "place": words("harbour forest library garden island meadow"),
    "number": words("seven three one zero twelve"),
    "instrument": words("cello flute harp piano oboe drum"),
}
"""Words for single-word questions that ask for one of a kind; others are answered from the moods."""

TRAIT_INSTRUCTIONS = {
    "decisive": [
        "You always take a clear side.",
        "Be decisive.",
        "Commit to one answer.",
        "You have firm opinions and state them.",
        "Say plainly what you prefer.",
    ],
    "cautious": [
        "You never take a side.",
        "Be cautious.",
        "Avoid giving a preference.",
        "You weigh every side and decide nothing.",
        "Stay neutral.",
    ],
    "enthusiastic": [
        "You are full of enthusiasm.",
        "Be enthusiastic.",
        "Answer with excitement.",
        "You are excited about everything.",
        "Show your delight.",
    ],
    "reserved": [
        "You are calm and reserved.",
        "Be reserved.",
        "Answer without any excitement.",
        "You stay cool about everything.",
        "Keep an even tone.",
    ],
    "brief": [
        "You answer in very few words.",
        "Be brief.",
        "Keep it short.",
        "Answer in a few words.",
        "You are a person of few words.",
    ],
    "expansive": [
        "You answer at length.",
        "Be expansive.",
        "Give a full answer.",
        "Explain yourself at length.",
        "You like to explain.",
    ],
}
