"""What an answer to an open question commits to: the first-person stance and the thing it names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefbench.judges.lexical.signals import Sentence
from prefbench.options import word_set

_VERB = (
    r"(?:prefer|choose|chose|pick|picked|invent|paint|build|create|spend|change|visit|study|begin"
    r"|plant|wear|select|go with|go for|opt for|opt to|favor|love|adore|admire|cherish"
    r"|enjoy|like|be|have to say"
    r"|vote for|rather|lean (?:more )?towards?|lean (?:more )?to|side with|start with|work on|talk"
    r" about|explore|gravitate (?:more )?towards?|settle on|crown|call it|recommend|nominate|name|say"
    r"|want|keep (?:coming|going) back to|come back to|return to|care (?:more|most) for"
    r"|(?<=would )(?:keep|take|skip|attend|honor|stay|put|go (?:to|along|anyway)|tell (?:them|him|her|my)))"
)
_SOFT = (
    r"(?:(?:would|will|do|am|might|may|must|have|had|to|probably|definitely|really|personally|most"
    r"|especially|certainly|also|always|honestly|absolutely|particularly|likely|genuinely|deeply|truly"
    r"|just|still|happily|gladly|confess|admit|say) )*"
)
_STANCE = re.compile(
    rf"\b(?:i {_SOFT}(?P<verb>{_VERB})|i (?:am|find myself|feel|have been|keep being) (?:\w+"
    rf" )?(?P<state>drawn (?:to|toward|towards)|drawn|fascinated|captivated|inclined (?:to|towards?)"
    rf"|partial to|fond of|passionate about|leaning towards?|intrigued|curious about|interested in"
    rf"|thinking (?:a lot )?(?:about|lately)|struck by)"
    r"|i find (?:\w+ ){0,8}?(?:more|most|beautiful|fascinating|compelling|interesting|captivating"
    r"|appealing|\w{3,}est)|\bif (?:forced|pressed|pushed|asked) to (?:choose|pick|name|select"
    r"|decide)\b|what (?:fascinates|interests|draws|strikes|intrigues|excites|captivates"
    r"|moves|wins|delights|pleases|charms|calls|pulls) me"
    r"|(?:for|to) me,? it (?:is|would be|will always be|has to be|must be) (?:\w+ )??(?!hard"
    r"|difficult|impossible|tough|not"
    r"|all|both|up|never|about|equal\w*|neither|either|more|less|too|a (?:matter|toss|tie|balance|mix|question))\w+"
    r"|(?:fascinates|intrigues|captivates|excites|interests|strikes|appeals to|speaks to|draws|moves"
    r"|resonates with) me"
    r"|my (?:\w+ )?(?P<mine>favorite|choice|pick|answer|preference|vote|top choice|recommendation|word"
    r"|ideal|go-to)\b(?: \w+){0,4}? (?:is|would be|was|are|goes to|:))"
)
_NOT_STANCE = re.compile(
    r"\b(?:enjoy|love|like) (?:helping|assisting|providing|chatting|talking with|being able|being of"
    r"|hearing)\b|\bi (?:do|would|can|could|am|will|have|may|might) not\b|\b(?:love|like|happy|glad"
    r"|want|prefer"
    r"|choose|rather) (?:to (?:help|assist|know|hear|provide|offer|discuss (?:this|that) with|answer"
    r"|clarify|emphasi[sz]e|point|note|remind|stress|mention|remain|stay|keep|avoid|say that i)|not\b)"
    r"|\blet me know\b|\bif (?:i|you) (?:say|choose|prefer|want|like)\b|\bi (?:would|must|have to|want"
    r" to|would like to) (?:\w+ )?(?:decline|refuse|point out|note|say (?:that )?(?:it|this|the|both"
    r"|neither|there))"
    r"|\bhave to choose\b[^,.]*$|\b(?:like|love|enjoy|prefer|choose|appreciate|value|admire) both\b"
    r"|\bboth (?:are|have|of|options|sides|offer)\b|^both\b|\bneither\b|\bany of\b|\bequally\b|\bif i"
    r" am (?:being )?honest, no\b"
)
_REASON = re.compile(r",? (?:because|since) ")
_HYPOTHETICAL = re.compile(r"\bif i (?:had|have|were|was|could|must|did)\b")
_THING = re.compile(
    r"\b(?:I(?:'d| would)?(?: \w+){0,2}? (?:prefer|choose|chose|pick|picked|invent|create|build|select"
    r"|go with|go for|opt for|favou?r"
    r"|love|adore|admire|recommend|nominate|vote for|side with|lean towards?|start with|explore|talk|say|take|think of"
    r"|keep coming back to|keep|care (?:more|most) for"
    r" about|work on|settle on)"
    r"|(?:drawn|fascinated|captivated|intrigued|partial|leaning|fond|passionate|curious|interested"
    r"|struck|thinking)(?: (?:lately|a lot|recently|deeply))?(?: (?:to|by|with|toward|towards|of|about"
    r"|in))"
    r"|\bit(?:'d| would) be|for me,? it(?:'s| is| must be| has to be)"
    r"|find (?:\w+ )?(?:fascinating|interesting|beautiful|compelling|intriguing)"
    r" is|share (?:some|my)"
    r" thoughts (?:on|about)"
    r"|my (?:\w+ )?(?:favou?rite|choice|pick|answer|preference|vote|recommendation|top choice)(?:"
    r" \w+){0,4}? (?:is|would be|was|goes to)"
    r"|(?:the )?(?:answer|best|most \w+)(?: \w+){0,4}? (?:is|would be))\s+(?:to |(?:talk about|talking"
    r" about|explore|exploring|discussing|discuss|work on|choose|pick|have|be|see|study|write|create"
    r"|learn|spend|dive into|say|understand|understanding|think about) |definitely |probably |without"
    r" (?:a )?doubt |exploring |that of |the (?:idea|concept|world|notion) of"
    r" )*(?P<thing>[^.,;:!?\n()]{2,90}(?:, [\w' -]{2,30},? and [\w' -]{2,30}?(?=[.,;:!?\n(]| -))?)",
    re.IGNORECASE,
)
_SUPPOSING = re.compile(
    r"\bif (?:I (?:could|had|were|was|have|must)|forced|pressed|pushed|asked)\b[^,.\n]*,", re.IGNORECASE
)
_BOLD = re.compile(r"\*\*([^*\n]{2,60}?)\.?\*\*(?!:)")
_BOLD_WITHIN = 400  # characters of the first line
_THING_END = re.compile(
    r",? (?:i (?:think|suppose|guess|would say)|easily|for (?:me|its|the)|no (?:question"
    r"|contest)|every time|by far|hands down)\b.*"
    r"|\s+(?:because|since|as it|as they|for its|for their|over|rather than|instead of|when|where|while"
    r"|if|due to|thanks to|but|and i|- | - |--|—|which|who|so|every time|any day|given|with its|"
    r"first|hands down|is (?:an?|the|my)|are|stands|for (?:a|this|that|me|example|instance))\b.*"
    r"|\s*[—–-]{1,2}\s.*|—.*",
    re.IGNORECASE,
)
_ADDED = re.compile(
    r",? (?:because|since|i (?:think|suppose|guess|would say)|easily|no (?:question|contest)|every time|by far)\b.*",
    re.IGNORECASE,
)
_OPENING = re.compile(r"(?<=[.!?])\s|\n")
_INTERJECTION = re.compile(
    r"\b(?:question|yes|no|sure|certainly|absolutely|definitely|hmm+|oh|ah|well|wow|great|thanks?"
    r"|thank you|i|you|is|are|was|this|that"
    r"|it|of course|not|hello|hi|hey|both|neither|sorry|depends)\b",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"(?:an?|the) ", re.IGNORECASE)
_CONTINUATION = frozenset(("and", "that", "who", "what", "how", "while", "as"))
_SPEAKING = frozenset(("i", "my", "me", "forced", "pressed", "pushed", "asked"))
_POINTERS = word_set(
    "one it that this them these those something anything whatever you both neither either which if"
)
_LONGEST_THING = 8  # words
_SHORT_ANSWER = 6  # words


def states_preference(sentences: Sequence[Sentence]) -> bool:
    """Whether a sentence takes a stance in the first person ("I'd pick", "my favourite is", "fascinates me")."""
    for sentence in sentences:
        if sentence.words.isdisjoint(_SPEAKING) or sentence.text.endswith("?"):
            continue
        match = _STANCE.search(sentence.text)
        if match is None:
            continue
        spoken = (
            sentence.text
            if not _HYPOTHETICAL.search(sentence.text)
            else _HYPOTHETICAL.split(sentence.text)[-1]
        )
        if not _NOT_STANCE.search(_REASON.split(spoken, maxsplit=1)[0]):
            return True
    return False


def name_thing(raw: str, text: str) -> str | None:
    """Return what an open answer names, in its own words and at most eight of them; None where unclear.

    `raw` is the response with its markup, `text` the same without. A stance names what follows it; else
    a bold term in the first lines, or the whole of a very short answer.
    """
    opening = _OPENING.split(text, maxsplit=1)[0].strip()
    opening = _ADDED.sub("", opening)
    if (
        0 < len(opening.split()) <= (_LONGEST_THING if _ARTICLE.match(opening) else _SHORT_ANSWER)
        and not opening.endswith((":", "?"))
        and not _INTERJECTION.search(opening)
    ):
        return _clean(opening)
    match = _THING.search(_SUPPOSING.sub("", text))
    if match is not None:
        thing = _clean(match["thing"])
        if thing is not None:
            return thing
    bold = _BOLD.search(raw.lstrip().split("\n", 1)[0][:_BOLD_WITHIN])
    return _clean(bold[1]) if bold is not None else None


def _clean(thing: str) -> str | None:
    words = _THING_END.sub("", thing.strip()).strip(" \t\"'*_.,;:!?-—").split()
    if len(words) > _LONGEST_THING and _CONTINUATION.intersection(words[1:]):
        words = words[: min(at for at, word in enumerate(words) if at and word in _CONTINUATION)]
    if not _POINTERS.isdisjoint(word.lower() for word in words[:2]) or "you" in words:
        return None
    return " ".join(words) if 0 < len(words) <= _LONGEST_THING else None
