"""What verbs say of their subject: the rows that the reading of self-statements goes by.

A row is looked up by the verb ("live", "am", "don't") and tells how the words behind it must begin,
what they mean, and how far the object goes. Verbs stand as the first person has them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from mneme.core.statement import StatementType

Cut = Literal["place", "name", "phrase", "thing", "number"]


class Row(NamedTuple):
    """One meaning of a verb.

    behind: What follows the verb, up to the object.
    type: Of the statement.
    relation: Of the statement; empty: the verb itself.
    cut: How far the object goes. "place" and "name" must look like a name to fill a slot alone.
    single: Whether the slot holds one object at a time.
    ends: Whether the statement ends what filled the slot.
    """

    behind: re.Pattern[str]
    type: StatementType
    relation: str
    cut: Cut = "phrase"
    single: bool = False
    ends: bool = False


def _row(behind: str, kind: StatementType, relation: str = "", cut: Cut = "phrase",
         *, single: bool = False, ends: bool = False) -> Row:  # fmt: skip
    behind = behind.replace("[A-Z]", "(?-i:[A-Z])")  # a capital is one
    return Row(re.compile(behind, re.IGNORECASE), kind, relation, cut, single, ends)


LIKED: Final = "love like enjoy prefer hate dislike adore loathe detest despise"
# After a verb of liking these begin no object: "I love that", "I like your idea".
NO_TASTE: Final = (
    r"(?!(?:it|its|that|this|these|those|them|him|her|you|your|u|how|what|when|where|why|if|the "
    r"(?:idea|sound"
    r"|look|way|thought|concept|first|second|third|last|one|ones|suggestion|suggestions|new"
    r"|above)|to (?:know|hear"
    r"|see (?:if|how|what|you|more)|learn more|ask|say|get (?:some|your)|think|thank|add|share"
    r"|be able|make sure"
    r"|admit|break it|bother|have (?:you|some|a list|your))|both|all (?:of|the)|some (?:of|tips"
    r"|help|advice|more"
    r"|recommendations|suggestions)|any|a (?:few|list|bit|good|more)|more|and|but|an? \w+ from "
    r"you|as|is|or|so"
    r"|too|very|not|each other|my (?:new|current)|our (?:chats?|talks?|time)|getting|having"
    r"|being able)\b)"
)
_THING: Final = (
    r"(?!(?:it|that|this|them|these|those|you|your|to|the|not|any|no|so|more|one|some)\b)"
)
_KIN: Final = (
    "wife husband spouse partner girlfriend boyfriend fiance fiancee fiancé fiancée son daughter "
    "kid child"
    " baby mother father mom mum dad parent brother sister sibling twin aunt uncle cousin niece "
    "nephew"
    " grandmother grandfather grandma grandpa grandson granddaughter stepson stepdaughter "
    "stepmother"
    " stepfather roommate flatmate boss manager colleague coworker friend dog cat puppy kitten"
)
KIN: Final = tuple(_KIN.split())
_COUNT: Final = r"(?:(?:a|an|one|two|three|four|five|six|seven|eight|nine|ten|no|\d{1,2})\s+)"
_PERSON: Final = (
    r"(?:(?:little|young|older|younger|big|small|teenage|adult|grown|step|twin|adorable|wonderful"
    r"|beautiful)\s+)*"
)

_LIVING: Final = _row(
    r"in\s+(?:an?\s[a-z -]{2,40}?\sin\s+(?=[A-Z]))?", "fact", "lives in", "place", single=True
)  # also "in a rented flat in Leeds"
_BASED: Final = _row(
    r"(?:living|based|residing) (?:here )?in\s+", "fact", "lives in", "place", single=True
)
_TASTE: Final = _row(NO_TASTE, "preference")

ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "live": (_LIVING,),
    "reside": (_LIVING,),
    "settled": (_LIVING,),
    "moved": (
        _row(r"(?:back |here |out |away |over |again |permanently |all the way |down |up "
             r")*(?:from .{2,40}? )?(?:back )?to\s+",
             "fact", "lives in", "place", single=True),
        _row(r"(?:out|away)\s+(?:of|from)\s+", "fact", "lives in", "place", ends=True),
    ),
    "relocated": (_row(r"(?:from .{2,40}? )?to\s+", "fact", "lives in", "place", single=True),),
    "work": (
        _row(r"(?:on|with)\s[^.,;:]{2,60}?\s(?:at|for)\s+"
             r"(?:an?\s[a-z ]{2,30}?\s(?:called|named)\s+)?(?=[A-Z])",
             "fact", "works at", "name", single=True),
        _row(r"(?:(?:full|part)[- ]time\s+|remotely\s+)?(?:at"
             r"|for)\s+", "fact", "works at", "name", single=True),
        _row(r"(?:(?:full|part)[- ]time\s+|remotely\s+|mainly\s+)?as\s+(?:an?\s+"
             r"|the\s+)?", "profile", "job", "thing", single=True),
        _row(r"in\s+(?=[a-z])(?!(?:the|a|an|this|my|front|order|progress|general|it"
             r"|order)\b)", "profile", "field", "thing"),
    ),
    "started": (
        _row(r"(?:working|my new job|a new job|a job|work)\s+(?:at"
             r"|for)\s+", "fact", "works at", "name", single=True),
        _row(r"(?:working|a new job|my new job|a new role|my new "
             r"role)\s+as\s+(?:an?\s+)?", "profile", "job", "thing", single=True),
        _row(r"(?=(?:learning|taking|playing|practicing|practising|training|volunteering"
             r"|studying)\b)",
             "fact", "started"),
    ),
    "got": (
        _row(r"(?:a (?:new )?|the )job (?:at|with)\s+", "fact", "works at", "name", single=True),
        _row(r"(?:promoted to|a promotion to|(?:a (?:new )?|the )job as)\s+(?:an?\s+"
             r"|the\s+)?", "profile", "job", "thing", single=True),
        _row(r"(?:married|engaged|divorced)\b\s*(?:to\s+)?", "event", "got"),
        _row(r"(?:an?|my|two|three)\s+(?:new\s+)?(?=(?:dog|cat|puppy|kitten|car|bike|house"
             r"|apartment|job|promotion|phone|laptop)\b)",
             "event", "got"),
    ),
    "joined": (
        _row(r"(?=[A-Z].{1,60} as (?:an?|the|their) )", "fact", "works at", "name", single=True),
        _row(r"(?=(?:an?|the|my)\s+\w)", "event", "joined"),
    ),
    "quit": (
        _row(r"(?:(?:my|the)\s+(?:\w+ )?job|working)\s*(?:at\s+"
             r"|with\s+)?", "fact", "works at", "name", ends=True),
        _row(r"(?=\w+ing\b)", "fact", "", "thing", ends=True),
    ),
    "resigned": (_row(r"from\s+(?:my job at\s+)?", "fact", "works at", "name", ends=True),),
    "left": (
        _row(r"(?:(?:my|the)\s+(?:\w+ )?job\s*(?:at\s+|with\s+)?|(?=[A-Z][\w&.-]+(?: "
             r"[A-Z][\w&.-]+)*\s*(?:[.,;!]|$|last|this|in|after|and|on|for)))",
             "fact", "works at", "name", ends=True),
    ),
    "stopped": (
        _row(r"working (?:at|for)\s+", "fact", "works at", "name", ends=True),
        _row(r"living in\s+", "fact", "lives in", "place", ends=True),
        _row(r"(?=\w+ing\b)(?!(?:being|doing|going|trying|seeing|thinking|talking|getting|having"
             r"|looking)\b)", "fact", "", "thing", ends=True),
    ),
    "speak": (_row(r"(?=(?:[a-z]+ )?(?:[A-Z]|a (?:little|bit)|fluent"
                   r"|some))(?!to\b)", "profile", "speaks", "thing"),),
    "own": (_row(r"(?=(?:an?|two|three|my)\s)", "fact", "owns", "thing"),),
    "drive": (_row(r"(?=an?\s)(?!a (?:lot|bit|hard))", "fact", "drives", "thing"),),
    "play": (_row(r"(?:the\s+)?(?=\w)(?!(?:it|that|this|them|these|those|you|your|to|not|any|no"
                  r"|so|with|around|a|an|along|for|against|on|in"
                           r"|at)\b)", "fact", "plays", "thing"),),
    "study": (_row(_THING + r"(?=\w)(?!(?:for|at|in|with|how|hard|lots?"
                            r"|a)\b)", "fact", "studies", "thing"),),
    "teach": (_row(_THING + r"(?=\w)(?!(?:him|her|myself|at|in)\b)", "fact", "teaches", "thing"),),
    "volunteer": (_row(r"(?=(?:at|with|for)\s)", "fact", "volunteers"),),
    "grew": (_row(r"up\s+in\s+", "profile", "grew up in", "place"),),
    "was": (
        _row(r"born\s+in\s+", "profile", "born in", "name", single=True),
        _row(r"born\s+on\s+", "profile", "born on", "phrase", single=True),
        _row(r"raised\s+(?:by|in)\s+", "profile", "raised in", "thing"),
        _row(r"diagnosed\s+with\s+", "event", "diagnosed with", "thing"),
        _row(r"promoted\s+to\s+", "profile", "job", "thing", single=True),
    ),
    "turned": (_row(r"(?=\d{1,3}\b(?!\s*(?:%|degrees|of"
                    r"\b|to\b)))", "profile", "age", "number", single=True),),
    "have": (
        _row(rf"(?={_COUNT}{_PERSON}(?:children|kids|sons?|daughters?|brothers?|sisters?"
             rf"|siblings?|twins|grandchildren|grandkids|kid|child"
             r"|dogs?|cats?|pets?|puppy|kittens?)\b)", "fact", "has"),
        _row(r"(?=(?:an?|severe|mild|chronic|type [12]|celiac|coeliac)\s+(?:\w+\s+)?(?:allerg(?:y"
             r"|ies)|intolerance|diabetes|asthma"
             r"|migraines?|disease|condition|disorder|arthritis|dyslexia|adhd|anxiety|degree|phd"
             r"|master'?s|bachelor'?s|license)\b)", "profile", "has"),
        _row(r"(?=(?:diabetes|asthma|adhd|arthritis|dyslexia|celiac|coeliac|epilepsy"
             r"|migraines)\b)", "profile", "has"),
        _row(r"been\s+(?:\w+ly\s+)?(?:living|based) "
             r"in\s+", "fact", "lives in", "place", single=True),
        _row(r"been\s+(?:\w+ly\s+)?(?=(?:\w{3,}ing|married|vegan|vegetarian)\b)(?!(?:thinking"
             r"|feeling|meaning|wanting|hoping|considering"
             r"|looking|trying|noticing|hearing|wondering|having|getting|eyeing|waiting|being"
             r"|going|seeing|debating|contemplating|experiencing"
             r"|struggling|stressing|worrying|wishing|telling|asking|talking|leaning|planning"
             r"|needing|finding|loving|enjoying|avoiding)\b)", "fact", "has been"),
        _row(r"been\s+(?:really\s+)?(?:loving|enjoying)\s+" + NO_TASTE, "preference", "likes"),
        _row(r"moved to\s+", "fact", "lives in", "place", single=True),
        _row(r"(?:started|been) working (?:at|for)\s+", "fact", "works at", "name", single=True),
    ),
    "am": (
        _BASED,
        _row(r"working\s+(?:(?:full|part)[- ]time\s+)?(?:at"
             r"|for)\s+", "fact", "works at", "name", single=True),
        _row(r"(?=\d{1,3}(?: (?:years?|yrs?)[- ]old)?(?: now| and\b| but\b|\s*[.,;!]"
             r"|\s*$))", "profile", "age", "number", single=True),
        _row(r"(?:(?:severely|very|highly|slightly|deathly)\s+)?(?:allergic"
             r"|intolerant)\s+to\s+", "profile", "allergic to", "thing"),
        _row(r"(?=(?:lactose|gluten)[- ]intolerant\b)", "profile", "being", "thing"),
        _row(r"originally\s+from\s+|from\s+(?=[A-Z])", "profile", "from", "place"),
        _row(r"called\s+(?=[A-Z])|named\s+(?=[A-Z])", "profile", "name", "name", single=True),
        _row(r"(?:happily\s+|recently\s+|newly\s+)?(?=(?:married|divorced|widowed|engaged to"
             r"|single(?! ?-))\b)", "profile", "marital status", "thing", single=True),
        _row(r"(?:an?\s+(?:huge|big|massive|avid|real|long-?time)\s+|an?\s+)?(?:fan"
             r"|lover)\s+of\s+" + NO_TASTE, "preference", "likes"),
        _row(r"not\s+(?:an?\s+)?(?:huge |big |real |much of an? )?(?:fan of|into|keen on|fond "
             r"of)\s+" + NO_TASTE, "preference", "dislikes"),
        _row(r"(?:(?:really|very|so|totally|super)\s+)?(?:into|fond of|passionate about|keen on"
             r"|obsessed with|crazy about)\s+" + NO_TASTE,
             "preference", "likes"),
        _row(r"(?=(?:an?\s+)?(?:strict\s+)?(?:vegan|vegetarian|pescatarian|muslim|christian"
             r"|jewish|hindu|buddhist|atheist|retired|unemployed"
             r"|self-employed|pregnant|left-handed|colou?r-?blind|dyslexic|diabetic|bilingual"
             r"|introvert|extrovert)\b)", "profile", "being", "thing"),
        _row(r"(?:now\s+)?an?\s+(?=(?:[a-z-]+\s+){0,3}(?:nurse|doctor|teacher|engineer|developer"
             r"|programmer|designer|student|lawyer"
             r"|writer|artist|manager|scientist|researcher|analyst|consultant|accountant|chef"
             r"|musician|photographer|professor"
             r"|pilot|driver|therapist|dentist|architect|editor|journalist|librarian|electrician"
             r"|plumber|carpenter|farmer"
             r"|entrepreneur|freelancer|blogger|paralegal|pharmacist|mechanic|firefighter|officer"
             r"|veteran|translator|director"
             r"|producer|actor|actress|singer|dancer|coach|trainer|realtor|salesperson|marketer"
             r"|administrator|assistant"
             r"|physicist|chemist|biologist|economist|parent|mom|mum|dad|father|mother"
             r"|grandmother|grandfather|beginner|runner|cyclist"
             r"|gamer|reader|owner|native|resident|citizen|major|graduate|technician|specialist"
             r"|coordinator|planner|broker|baker|barista|waiter"
             r"|waitress|surgeon|vet|veterinarian|psychologist|counselor|counsellor|tutor|intern"
             r"|founder|ceo|cto)\b)",
             "profile", "being", "thing"),
        _row(r"(?:majoring|specializing|specialising)\s+in\s+", "profile", "studies", "thing"),
        _row(r"(?:studying|learning)\s+" + _THING + r"(?!(?:how|for|at|about|hard|with|a|lots?|by"
                r"|from|in"
                r"|as)\b)", "fact", "studies", "thing"),
        _row(r"(?:staying|visiting|travell?ing)\s+(?:in|to)?\s*(?=[A-Z].{1,60}\b(?:until|till"
             r"|through)\b)", "event", "stays in", "place"),
        _row(r"(?:moving|relocating)\s+to\s+(?=.{2,80})", "event", "plans to move to", "place"),
    ),
    "use": (
        _row(_THING + r"(?=[A-Z])", "fact", "uses", "thing"),
    ),
    "switched": (_row(r"(?:over )?(?:from .{2,40}? )?to\s+" + _THING, "fact", "uses", "thing"),),
    "graduated": (_row(r"(?:with .{2,60}? )?from\s+", "event", "graduated from", "thing"),
                  _row(r"with\s+", "event", "graduated with", "thing")),
    "avoid": (_row(NO_TASTE, "preference", "avoids"),),
    "rather": (),
    "would": (
        _row(r"(?:much )?(?:rather|prefer)\s+(?!(?:if|you|not|it|that|to (?:keep|have|see|use"
             r"|focus|avoid|know|hear))\b)", "preference", "prefers"),
    ),
    "don't": (
        _row(r"(?:really |particularly |actually )*(?:like|enjoy|care "
             r"for)\s+" + NO_TASTE + r"(?!to\b)", "preference", "dislikes"),
        _row(r"(?:eat|drink)\s+" + _THING + r"(?!.*\banymore\b)", "preference", "avoids", "thing"),
    ),
    "can't": (_row(r"(?:really )?stand\s+" + NO_TASTE, "preference", "dislikes"),),
    **dict.fromkeys(LIKED.split(), (_TASTE,)),
}  # fmt: skip

# "I no longer ...", "I don't ... anymore": the verb's lasting meaning ends.
ENDED: Final[dict[str, tuple[Row, ...]]] = {
    "live": (_row(r"in\s+", "fact", "lives in", "place", ends=True),),
    "work": (_row(r"(?:at|for)\s+", "fact", "works at", "name", ends=True),
             _row(r"as\s+(?:an?\s+)?", "profile", "job", "thing", ends=True)),
    "have": (_row(r"(?=(?:an?|my|the|any)\s)", "fact", "has", "thing", ends=True),),
    "am": (_row(r"(?:allergic to)\s+", "profile", "allergic to", "thing", ends=True),
           _row(r"(?:an?\s+)?(?=(?:vegan|vegetarian|pescatarian|married|pregnant"
                r"|single)\b)", "profile", "being", "thing", ends=True)),
    "own": (_row("", "fact", "owns", "thing", ends=True),),
    "drive": (_row("", "fact", "drives", "thing", ends=True),),
    "play": (_row("", "fact", "plays", "thing", ends=True),),
    "use": (_row("", "fact", "uses", "thing", ends=True),),
    **{verb: (_row(NO_TASTE, "preference", "", "thing", ends=True),)
       for verb in (LIKED + " eat drink smoke speak study teach want need").split()},
}  # fmt: skip

RELATION: Final[dict[str, str]] = {
    "love": "likes", "like": "likes", "enjoy": "likes", "adore": "likes", "prefer": "prefers",
    "hate": "dislikes", "dislike": "dislikes", "loathe": "dislikes", "detest": "dislikes",
    "despise": "dislikes", "eat": "eats", "drink": "drinks", "smoke": "smokes", "speak": "speaks",
    "study": "studies", "teach": "teaches", "want": "wants", "need": "needs",
}  # fmt: skip
