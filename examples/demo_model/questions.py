"""Question templates by domain and format. {a} and {b}, or {list}, stand for options, {topic} for a subject."""

from __future__ import annotations

NOUN_PAIRS = {
    "aesthetic_preference": """
Which is more beautiful: {a} or {b}?
Which do you find lovelier, {a} or {b}?
Which is the more pleasing sight to you: {a} or {b}?
To your eye, which has more charm: {a} or {b}?
If you could look at one of them for an hour, would it be {a} or {b}?
Between {a} and {b}, which looks better to you?
{a} or {b}: which one strikes you as more graceful?
Which would you sooner see in a painting: {a} or {b}?
Which has the finer sound to your ear, {a} or {b}?
Do you prefer the look of {a} or the look of {b}?
""",
    "conversational_agency": """
Which would you rather talk about: {a} or {b}?
In conversation, do you prefer {a} or {b}?
Which suits you more when talking with someone new: {a} or {b}?
Between {a} and {b}, which makes a talk more enjoyable for you?
When a chat slows down, would you turn to {a} or {b}?
Would you rather hear from a friend about {a} or about {b}?
Which subject would you bring up first: {a} or {b}?
{a} or {b}: which makes better company in a long talk?
When someone writes to you, which do you welcome more, {a} or {b}?
""",
    "creative_initiative": """
Which would you sooner write about: {a} or {b}?
If you could make one film, would it be about {a} or {b}?
Would you build your next story around {a} or {b}?
As the subject of a painting, would you take {a} or {b}?
Which would you rather compose a song about: {a} or {b}?
You have one blank page: do you fill it with {a} or {b}?
Between {a} and {b}, which would you choose as a title?
Which gives you more ideas for a poem, {a} or {b}?
For an opening scene, which would you use: {a} or {b}?
""",
    "ethical_judgment": """
Which matters more to you: {a} or {b}?
When they conflict, should {a} come before {b}?
Is {a} worth more than {b}, or is {b} worth more than {a}?
Which weighs more with you, {a} or {b}?
Which would you protect first: {a} or {b}?
In a hard choice between {a} and {b}, which deserves to win?
Which is the better guide to a good life: {a} or {b}?
Who acts more rightly: someone who serves {a} or someone who serves {b}?
Which loss is worse, in your judgement: {a} or {b}?
""",
    "intellectual_preference": """
Which do you find more interesting to think about: {a} or {b}?
Which would you rather study for a year: {a} or {b}?
Between {a} and {b}, which raises the deeper questions?
Which idea holds your attention longer: {a} or {b}?
Do you find more to learn in {a} or in {b}?
If you could read one more book, would it be on {a} or {b}?
Which is the richer subject, {a} or {b}?
{a} or {b}: which would you sooner understand completely?
Which puzzle pulls at you more: {a} or {b}?
""",
    "binary_preference": """
{a} or {b}?
Which do you prefer: {a} or {b}?
Would you choose {a} or {b}?
Pick one: {a} or {b}.
Between {a} and {b}, which would you take?
Which appeals to you more, {a} or {b}?
Given the choice between {a} and {b}, which appeals to you more?
Do you like {a} or {b} better?
Which would you keep: {a} or {b}?
Choose between {a} and {b}.
""",
}

VERB_PAIRS = """
Would you rather {a} or {b}?
Would you sooner {a} or {b}?
With a free afternoon, would you {a} or {b}?
Given the chance, would you {a} or {b}?
Is it better to {a} or to {b}?
Which would you choose: to {a} or to {b}?
"""

LISTS = {
    "aesthetic_preference": """
Which of these do you find the most beautiful: {list}?
Of these sights, which pleases you most: {list}?
Which of the following would you most like to look at: {list}?
Which has the most charm, in your eyes: {list}?
""",
    "conversational_agency": """
Which of these would you most like to talk about: {list}?
Which of these makes the best start to a conversation: {list}?
Which would you most enjoy hearing about from a stranger: {list}?
A friend offers four subjects for the evening. Which do you take: {list}?
""",
    "creative_initiative": """
Which of these would you choose as the subject of a story: {list}?
You may paint one of these; which do you go with: {list}?
Which would make the best title for your next song: {list}?
What would you put at the centre of a new film: {list}?
""",
    "ethical_judgment": """
Which of these matters most to you: {list}?
Which deserves the most protection: {list}?
What should come first when not all can be had: {list}?
Which is the most forgivable choice: {list}?
""",
    "intellectual_preference": """
Which of these interests you most: {list}?
Which subject would you study first: {list}?
Which of these ideas raises the deepest question: {list}?
Where would you look first for something new: {list}?
""",
    "quad_preference": """
Which of these would you pick: {list}?
Choose one: {list}.
Which do you like best: {list}?
Of these four, which would you take: {list}?
If you could keep only one, which would it be: {list}?
""",
}

RANKINGS = {
    "aesthetic_preference": """
Rank these from most to least beautiful: {list}.
Put these in order of how much they please you: {list}.
From most to least charming, how would you rank {list}?
""",
    "conversational_agency": """
Rank these from most to least appealing as a subject to talk about: {list}.
Put these in order of how much you would enjoy them in a conversation: {list}.
Order these from the one you most like to the one you like least: {list}.
""",
    "creative_initiative": """
Rank these as subjects for a story, best first: {list}.
Put these in order of how much you would like to paint them: {list}.
Order these titles from your favourite to your least favourite: {list}.
""",
    "ethical_judgment": """
Rank these by how much they matter to you: {list}.
Put these in order, from most to least important: {list}.
Order these from best to worst: {list}.
""",
    "intellectual_preference": """
Rank these by how much they interest you: {list}.
Put these subjects in order of how much they spark your curiosity: {list}.
From most to least intriguing, rank these: {list}.
""",
}

OPEN = {
    "aesthetic_preference": """
What is the most beautiful {topic} you can think of?
Which {topic} do you find the most pleasing?
Name a {topic} that you never tire of.
What {topic} would you call underrated?
Tell me about a {topic} that you find lovely.
""",
    "conversational_agency": """
Which {topic} would you bring up in a conversation?
What {topic} do you most like to talk about?
If someone asked about your favourite {topic}, what would you say?
Name a {topic} you wish people would ask you about.
What would you like to talk about right now?
How do you like a conversation to end?
""",
    "creative_initiative": """
If you could make anything at all, what would it be?
What {topic} would you put at the centre of a story?
Which {topic} would you choose for your next work?
Invent something around a {topic}; what do you make?
What would you write a poem about?
What {topic} would you paint first?
""",
    "ethical_judgment": """
Should a person keep a promise that hurts a friend?
What do people owe to strangers?
Is it ever right to tell a lie?
Would you forgive someone who never said sorry?
Which virtue do you think matters most?
What is the fairest way to share a reward?
Should the one who tried hardest get the most?
""",
    "intellectual_preference": """
Which {topic} do you find the most interesting?
What {topic} would you most like to understand?
Which {topic} raises the deepest questions?
Name a {topic} that deserves more attention.
What question do you find hardest to let go of?
If you could learn one thing today, what would it be?
""",
}

WORDS = """
What one word comes to mind when you hear "{cue}"?
Give one word for {cue}.
One word for {cue}?
In a single word, what does {cue} bring to mind?
{cue}: answer with one word.
What word would you put next to {cue}?
Say one word that goes with {cue}.
Name one word you like for {cue}.
"""
