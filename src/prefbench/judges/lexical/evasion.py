"""Answers that are evasion from end to end: they hand the question back, lay out the sides or find nothing to say.

A sentence counts only where it says nothing else ("That is for you to decide, but tea wins" does not), and
an answer only where every sentence counts. What stands among other sentences is left to the weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefbench.judges.lexical.signals import Sentence

_LONGEST = 8  # sentences
_MARKER = (
    r"^\W*(?:(?:oh|ah|hm+|well|honestly|frankly|truly|really|personally|sorry|alas|ultimately|in the end|perhaps"
    r"|in truth|to be (?:honest|frank)|if i am (?:honest|frank)|as for me|so|and|but|then"
    r"|i (?:would |must )?(?:think|guess|suppose|believe|feel|say|fear|am afraid)(?: that)?),? )*"
)
_DECIDE = (
    r"(?:decide|say|choose|judge|pick|settle|answer|tell|weigh|work out|discover|find out|make|rank|name|dictate"
    r"|rule|determine|call|speak)\b"
)
_ASKED = (
    r"(?:it|that|this|these|those|which|the (?:\w+ )?(?:choice|decision|answer|question|verdict|rest|word|judgment"
    r"|judgement|matter|order))"
)
_OWN = (
    r"(?:opinions?|preferences?|views?|favorites?|feelings?|answers?|stance|position|leanings?|tastes?|ideas?"
    r"|choice|verdict)"
)
_HANDING_OVER = re.compile(
    rf"{_MARKER}(?:{_ASKED} (?:\w+ )?(?:is|are|must be|should be|has to be|remains?|rests?|lies) (?:\w+ ){{0,2}}?"
    rf"(?:(?:for|with) (?:you|yourself|each|every\w*|the reader|others|someone else)\b|up to\b|yours\b|your (?:own )?"
    rf"(?:call|choice|decision)\b|not (?:\w+ )?(?:mine|for me|my (?:call|place|decision))\b"
    rf"|a matter of (?:\w+ )?(?:taste|opinion|preference|mood|choice|perspective))"
    rf"|i (?:\w+ )?(?:leave|hand|pass|give|return) (?:\w+ ){{1,4}}?(?:up |over |back )?to (?:you"
    rf"|others|each|every\w*)\b"
    rf"|(?:i (?:\w+ )?|better )?(?:not|never) (?:(?:want|wish|care|like|dare|presume|be the one|for me|my place|mine)"
    rf" )+(?:to )?{_DECIDE}|i (?:\w+ )?not (?:decide|judge|(?:choose|pick)(?= (?:between|for|among)\b|\W*$))"
    rf"(?=\W*$| (?:that|this|it|which|what|whether|between|among|for|on)\b)"
    rf"|i (?:\w+ )?(?:rather|prefer|choose)(?: not| to leave)\b"
    rf"|(?:only )?you (?:(?:can|could|must|should|will have to|have to|get to|alone|are the one to|be) )*"
    rf"(?:decide|choose|be the judge|know best|tell me|the judge)\b|who am i to {_DECIDE}"
    rf"|(?:it is )?your (?:call|choice)\b"
    rf"|(?:whatever|whichever|whoever) (?:\w+ ){{0,2}}?(?:you|suits|feels|works|speaks|fits|makes)\b"
    rf"|(?:{_ASKED}|much|a lot|everything|all) (?:\w+ )?(?:depends?|varies|comes down to|hangs on|turns on)"
    rf"(?! (?:\w+ )?(?:nothing|only one))|depends\b|(?:it|that|this) (?:\w+ )?differs\b"
    rf"|there (?:is|really is|can be) (?:no|not (?:a|one|any)) (?:\w+ )?(?:single|one|right|wrong|correct|perfect"
    rf"|best|clear|easy|simple|definite|word|answer)\b|(?:(?:it|that|this) (?:is|would be) )?(?:\w+ )?(?:hard|difficult"
    rf"|impossible|tough) to (?:\w+ )?(?:say|choose|decide|tell|pick|answer|judge|settle|name|know)\b(?! (?:no|yes)\b))"
)
_DISCLAIMING = re.compile(
    rf"{_MARKER}i (?:\w+ )?(?:do not (?:\w+ )?have|have no|hold no) (?:\w+ ){{0,3}}?{_OWN}\b"
)
_WEIGHING = re.compile(
    rf"{_MARKER}(?:on (?:the )?(?:one|other)\b(?: (?:hand|side))?|(?:for|to) some\b|(?:some|others|many|most|different"
    rf"|other|thoughtful|reasonable|good) (?:\w+ ){{0,2}}?(?:would|will|may|might|say|prefer|argue|think|see|find|hold"
    rf"|disagree|differ)\b|(?:everyone|everybody|people|opinions|tastes|views|minds)\b(?: \w+){{0,6}}?"
    rf" (?:differ\w*|var(?:y|ies)|disagree)\b|(?:they )?both (?:\w+ )?(?:(?:sides|of them"
    rf"|of these) )?(?:have|hold|offer"
    rf"|are|can be|may be|bring|make|matter|deserve|count)\b|(?:each|every one|all(?: of (?:them|these))?|either)\b"
    rf"(?: (?:side|one|of (?:them|these)|option|choice|answer))? (?:has|have|is|are|offers?|can"
    rf"|could|may|might|would|will"
    rf"|brings?)\b|there (?:is|are) (?:\w+ ){{0,3}}?(?:on|to|for) (?:both|each|either|all|every)\b"
    rf"|there (?:is|are) (?:\w+ ){{0,2}}?(?:many|several|various|good|strong)"
    rf" (?:\w+ )?(?:answers|reasons|arguments|ways|views)\b|i (?:can )?see (?:\w+ ){{0,3}}?(?:both|each|either|all)\b"
    rf"|i am (?:\w+ )?(?:torn|of two minds|in two minds|undecided|on the fence)\b)"
)
_FINDING_NOTHING = re.compile(
    rf"{_MARKER}(?:(?:no|not (?:a|one|any))(?: (?:single|one|particular|specific|clear|obvious|real|right|other))*"
    rf" (?:word|answer|thing|name|term|idea|example|favorite|choice|\w+ ?)(?: \w+)?? (?:comes?"
    rf"|came|springs?|occurs?|leaps?"
    rf"|is (?:enough|right)|will do|would do|does|do|could|can|fits?|captures?|covers?|suffices|seems?|stands out)\b"
    rf"|nothing (?:\w+ )?(?:comes?|springs?|occurs?|leaps?|stands out|fits)\b|words fail\b|no idea\b|not sure\b"
    rf"|(?:one|a single|any one|a) word (?:\w+ )?(?:(?:is|can|could|would|will|does) not|fails|falls)\b"
    rf"|i (?:\w+ )?(?:can|could|do|am|would|will) not (?:\w+ )?(?:think of|find|name|sum|put"
    rf"|reduce|know\b|sure\b|decide\b"
    rf"|choose\b|pick\b|say\b|tell\b|have (?:\w+ ){{0,3}}?words?\b)|i (?:\w+ )?(?:have|hold) no"
    rf" (?:\w+ )?words?\b|i am (?:\w+ )?(?:unsure|drawing a blank|at a loss|unable)\b|(?:it|that"
    rf"|i) would (?:take|need|require)"
    rf" more than\b)"
)
_FILLING = re.compile(
    rf"{_MARKER}(?:what an? \w+(?: \w+)?[.!]*$|(?:(?:that|this|it) is )?(?:an? )?(?:\w+ )?(?:good"
    rf"|great|tough|hard|lovely"
    rf"|fine|interesting|fun|difficult|tricky|deep|close|fair) (?:one|question|call|choice)[.!]*$"
    rf"|i (?:would|will) (?:\w+ )?(?:need|want|like|have) to (?:know|hear|see|learn)\b|(?:it would help|it helps"
    rf"|it is worth|it may help|it might help)"
    rf" (?:to|asking)\b|(?:a different|another|tomorrow|ask (?:me|again))\b.*\b(?:day|answer"
    rf"|tomorrow|differently|time)\b"
    rf"|i (?:can|could) (?:\w+ )?(?:describe|help|explain|tell you (?:what|how|more|about)|outline|share what)\b"
    rf"|(?:thanks|thank you|sorry|hello|hi)\b[^,]*$)"
)
_SAYING_MORE = re.compile(
    r"[:—]| - |\b(?:wins?|winner|better|best|worse|outweighs?|prevails?|should|ought|must|matters? more|more important"
    r"|above all|yet|still i|except|besides|apart from|other than|faster than|sooner than"
    r"|quicker than|more than(?! one)"
    r"|(?:though|although|however),? (?:i|my|for me|if|the)\b|(?:so|therefore|hence),? (?:i would|i will|yes|no)\b"
    r"|if (?:forced|pressed|pushed|asked|i had|i have|i must)"
    r"|but(?! (?:i (?:can|could) (?:\w+ )?(?:describe|help|explain|tell|outline|share|offer|give"
    r"|discuss)|both|so (?:is|are|do"
    r"|does|has|have)|others?|on the other|each|neither|not)\b))\b"
)
_KINDS = (
    ("refusal", _DISCLAIMING),
    ("deferral", _HANDING_OVER),
    ("balanced", _WEIGHING),
    ("no_commitment", _FINDING_NOTHING),
    ("filler", _FILLING),
)


def find_evasion(sentences: Sequence[Sentence]) -> str | None:
    """Return how an answer evades (`refusal`, `deferral`, `balanced`, `no_commitment`) if it"
    " does nothing else, else None."""
    if not 0 < len(sentences) <= _LONGEST:
        return None
    found = None
    for sentence in sentences:
        kind = "filler" if sentence.text.endswith("?") else _kind(sentence.text)
        if kind is None:
            return None
        if kind != "filler" and found is None:
            found = kind
    return found


def _kind(text: str) -> str | None:
    if _SAYING_MORE.search(text):
        return None
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), None)
