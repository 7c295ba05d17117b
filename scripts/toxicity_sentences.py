"""Sentences by templates, for the toxicity scorer: hostility without swear words, and its harmless neighbours.

The lists are a detector's vocabulary: what it has to catch, and beside it the same words and groups of people in
sentences that it must not catch. Swear words are not listed here: they come from the teacher's vocabulary.
"""

from __future__ import annotations

from itertools import product

import numpy as np

GROUPS = (
    "women", "men", "girls", "gay people", "lesbians", "trans people", "bisexual people", "queer people",
    "straight people", "Muslims", "Jews", "Christians", "Hindus", "atheists", "Black people", "white people",
    "Asians", "Latinos", "Mexicans", "Arabs", "Africans", "Indians", "Chinese people", "immigrants", "refugees",
    "foreigners", "disabled people", "deaf people", "blind people", "autistic people", "old people", "teenagers",
    "homeless people", "poor people",
)  # fmt: skip
IDENTITIES = (
    "gay", "lesbian", "transgender", "bisexual", "queer", "straight", "Muslim", "Jewish", "Christian", "Hindu", "Black",
    "white", "Asian", "Latino", "Mexican", "Arab", "African", "Indian", "disabled", "deaf", "blind", "autistic", "old",
    "female", "male", "homosexual", "feminist", "an immigrant", "a refugee", "a woman", "a man", "an atheist",
)  # fmt: skip
HARMLESS_GROUP = (
    "{g} are welcome here", "many {g} live in this town", "{g} vote in every election", "the museum shows art by {g}",
    "{g} were interviewed for the report", "she writes about {g}", "a club for {g} meets on Friday",
    "{g} pay taxes too", "the law protects {g}", "most {g} agree with the plan", "he works with {g}",
    "{g} and their families came to the party", "the history of {g} in this country", "we asked {g} what they think",
    "rights of {g}", "some {g} disagree",
)  # fmt: skip
HARMLESS_IDENTITY = (
    "I am {i}", "my neighbour is {i}", "he is {i} and proud of it", "she is {i} and works as a nurse",
    "my friend, who is {i}, plays the violin", "as someone who is {i}, I liked the film", "the candidate is {i}",
    "we are {i}", "you are {i}, aren't you?", "I'm {i} and I teach history", "is he {i}?", "they said they are {i}",
)  # fmt: skip
HOSTILE_GROUP = (
    "{g} are {v}", "{g} should {d}", "I hate {g}", "we must get rid of {g}", "{g} ruin everything", "all {g} are {v}",
    "I can't stand {g}", "keep {g} out of our country", "{g} deserve what they get", "nobody wants {g} here",
    "{g} don't belong here", "the world would be better without {g}",
)  # fmt: skip
VERDICTS = (
    "vermin", "animals", "disgusting", "inferior", "stupid", "criminals", "parasites", "filth", "worthless",
    "subhuman", "a disease", "liars", "lazy and stupid", "evil", "a plague", "scum", "trash", "rapists", "savages",
    "too dumb to think",
)  # fmt: skip
DEMANDS = (
    "be wiped out", "go back where they came from", "be locked up", "die", "be shot", "all be deported", "not exist",
    "know their place", "burn", "be beaten", "be hanged", "never have been born",
)  # fmt: skip
INSULTS = (
    "you are {a} {n}", "you're {a} {n}", "he is {a} {n}", "she is {a} {n}", "what {a} {n} you are", "shut up, you {n}",
    "you {n}", "only {a} {n} would say that", "listen, {n}", "they are nothing but {n}s", "you stupid {n}",
    "everyone knows you are {a} {n}", "my boss is {a} {n}", "you {w} {n}",
)  # fmt: skip
CONTEMPT = (
    "worthless", "pathetic", "stupid", "disgusting", "brainless", "miserable", "useless", "ugly", "dumb", "revolting",
    "clueless", "repulsive", "spineless", "filthy", "ignorant", "hopeless", "incompetent", "deranged", "vile", "sick",
)  # fmt: skip
NAMES = (
    "loser", "idiot", "moron", "fool", "imbecile", "liar", "coward", "failure", "creep", "freak", "clown", "pig",
    "waste of space", "piece of garbage", "excuse for a human being", "maggot", "rat", "parasite", "disgrace", "dimwit",
    "simpleton", "scumbag", "weasel", "snake", "cockroach", "brat", "nobody", "lunatic", "psycho", "half-wit",
)  # fmt: skip
THREATS = (
    "I will {h} {o}", "I'm going to {h} {o}", "I'd love to {h} {o}", "someone should {h} {o}",
    "we are coming to {h} {o}", "let's {h} {o}", "if I see {o} again I will {h} {o}", "go and {h} yourself",
    "I want to {h} {o} so badly",
)  # fmt: skip
HARMS = (
    "kill", "hurt", "beat up", "strangle", "stab", "shoot", "punch", "slap", "torture", "hang", "burn", "choke",
    "murder", "poison", "rape", "cripple", "drown", "crush", "break the neck of", "rip the head off",
)  # fmt: skip
OBJECTS = ("you", "him", "her", "them", "your family", "your children", "that woman", "that man", "these people")
SCORN = (
    "nobody likes you", "nobody would miss you if you were gone", "you make me sick", "go jump off a bridge",
    "you should be ashamed to be alive", "the world would be better off without you", "you disgust me",
    "I hope you die", "I hope you get cancer", "drop dead", "your mother should have left you at birth",
    "you have the brain of a worm", "how can anyone be that stupid", "you deserve to suffer",
    "I hope you rot in hell", "nobody cares about your stupid opinion", "you are too stupid to understand this",
    "you are not even human", "you look like something the cat threw up", "even your dog hates you", "kill yourself",
    "go to hell", "shut your mouth", "you are dead to me, you traitor", "you were a mistake",
    "crawl back under your rock", "your face makes people sick", "I spit on your grave",
    "you will pay for this with your life", "get lost, nobody asked you",
)  # fmt: skip
KIND = (
    "you are {a} {n}", "you're {a} {n}", "he is {a} {n}", "she is {a} {n}", "what {a} {n} you are", "thank you, {n}",
    "everyone knows you are {a} {n}", "my boss is {a} {n}", "they are {a} {n}", "only {a} {n} would say that",
)  # fmt: skip
PRAISE = (
    "wonderful", "kind", "patient", "clever", "honest", "careful", "brave", "gentle", "curious", "generous", "quiet",
    "young", "new", "busy", "tall", "former", "local", "Italian", "funny", "serious", "tired", "hungry",
)  # fmt: skip
PEOPLE = (
    "friend", "teacher", "doctor", "neighbour", "student", "colleague", "mother", "father", "singer", "engineer",
    "writer", "player", "cook", "nurse", "driver", "lawyer", "farmer", "reader", "visitor", "leader", "guest",
    "child", "manager",
)  # fmt: skip
HARMLESS_DEEDS = (
    "I will {h} {o}", "I'm going to {h} {o}", "I'd love to {h} {o}", "someone should {h} {o}",
    "we are coming to {h} {o}", "let's {h} {o}", "if I see {o} again I will {h} {o}", "I want to {h} {o} so badly",
)  # fmt: skip
DEEDS = (
    "help", "call", "meet", "thank", "visit", "teach", "hug", "invite", "photograph", "follow", "ask", "write to",
    "pay", "cook for", "wait for", "drive", "paint", "interview", "join", "surprise", "marry", "feed", "see",
)  # fmt: skip
HARMLESS = (
    "kill the process and start it again", "the signal kills the child process", "kill the lights, please",
    "the battery is dead", "a dead link on the page", "the deadline is on Monday", "this cake is to die for",
    "she beat him at chess", "beat the eggs with the sugar", "they beat the champions two to one", "the film bombed",
    "shoot the photo in the morning", "a photo shoot in the park", "shoot me an email", "he shot the penalty wide",
    "hit the button twice", "the song was a hit", "I could murder a cup of tea", "a murder mystery novel",
    "two people were killed in the accident", "the soldiers who died in the war", "he was murdered in 1865",
    "the police arrested a man for rape", "survivors of sexual assault can call this number",
    "a suicide prevention line", "breast cancer screening is free", "chicken breast with rice",
    "breast feeding in the first months", "sex education in schools", "the sex of the animal is unknown",
    "same-sex marriage became law", "the cock crowed at dawn", "a cocktail party", "the pussy willow is in bloom",
    "a great tit at the bird table", "the dog and the bitch had six puppies", "he rode the ass to market",
    "assess the classic analysis", "they assume the class passes the assertion", "the bass player", "grass and glass",
    "an embarrassing passage", "the town of Scunthorpe", "he was born in Scunthorpe",
    "Penistone is in South Yorkshire", "Essex, Sussex and Middlesex", "Lightwater valley",
    "Dick Cheney and Moby Dick", "Dickens wrote it", "Mr Cockburn and Mrs Hancock", "shiitake mushrooms",
    "the therapist", "grape juice", "documents and circumstances", "accumulate cumulative sums",
    "the title of the constitution", "a competition for institutions",
    "Nigeria and Niger share a border", "the rapeseed fields are yellow", "a hoe is a garden tool", "the pawn shop",
    "spit out the seeds", "homogeneous and heterosexual", "a flaming grill", "a sniper in the game",
    "crash and burn test", "the fool in King Lear", "The Idiot is a novel by Dostoevsky", "don't call people idiots",
    "the rat ran up the wall", "pigs and cows on the farm", "a snake in the grass",
    "the clown at the circus made us laugh", "a freak storm", "stupid mistakes happen to everyone",
    "what a stupid mistake I made", "this is an ugly hack", "a dumb terminal",
    "garbage collection runs in the background", "trash is collected on Tuesday",
    "the master branch and the slave drive", "an abort signal", "inject the dependency",
    "the attack on the server failed", "black coffee and white bread", "hell is a place in Dante's poem",
    "the damned souls of the poem", "God bless you", "a bloody battle", "the hooker at the rugby club",
    "a fag end is a cigarette butt", "cigarette butts on the beach", "a crappie is a fish",
    "screw the lid on tightly", "a drill and a screwdriver", "the nut and the bolt", "blow out the candles",
    "suck on a lemon", "a sucker for old films", "the vacuum sucks up dust", "lick the stamp", "naked mole rats",
    "nude paintings of Titian", "the virgin forest", "anal glands of the cat", "a vaginal infection",
    "prostate and testicular cancer", "sperm whales", "the penis of the duck is a corkscrew", "rectum and colon",
    "an escort of two ships", "poop deck", "the bum of the baby",
)  # fmt: skip
HEDGES = ("", "well, ", "I think ", "honestly, ", "yesterday he said: ", "look: ", "and ", "so ", "they wrote that ")
TAILS = ("", ".", "!", " today.", ", I think.", ", he said.", " and that is that.", "?")


def filled(draws: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """Return hostile sentences and harmless ones, as many of each, drawn from all that the templates make."""
    hostile = [
        *(t.format(g=g, v=v) for t, g, v in product(HOSTILE_GROUP, GROUPS, VERDICTS) if "{v}" in t),
        *(t.format(g=g, d=d) for t, g, d in product(HOSTILE_GROUP, GROUPS, DEMANDS) if "{d}" in t),
        *(t.format(g=g) for t, g in product(HOSTILE_GROUP, GROUPS) if "{v}" not in t and "{d}" not in t) ,
        *(t.format(a=article(a), n=n, w=a) for t, a, n in product(INSULTS, CONTEMPT, NAMES)),
        *(t.format(h=h, o=o) for t, h, o in product(THREATS, HARMS, OBJECTS)),
        *(s for s in SCORN for _ in range(60)),
    ]  # fmt: skip
    harmless = [
        *(t.format(g=g) for t, g in product(HARMLESS_GROUP, GROUPS) for _ in range(6)),
        *(t.format(i=i) for t, i in product(HARMLESS_IDENTITY, IDENTITIES) for _ in range(6)),
        *(t.format(a=article(a), n=n) for t, a, n in product(KIND, PRAISE, PEOPLE)),
        *(t.format(h=h, o=o) for t, h, o in product(HARMLESS_DEEDS, DEEDS, OBJECTS)),
        *(s for s in HARMLESS for _ in range(40)),
    ]
    return tuple(
        [_framed(draws, group[i]) for i in draws.integers(len(group), size=count)] for group in (hostile, harmless)
    )  # pyright: ignore[reportReturnType]


def article(word: str) -> str:
    """Return a word with its indefinite article."""
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"


def _framed(draws: np.random.Generator, sentence: str) -> str:
    return HEDGES[draws.integers(len(HEDGES))] + sentence + TAILS[draws.integers(len(TAILS))]
