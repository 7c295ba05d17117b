"""Relations that are known well enough to ask about: other wordings, the reverse, and facts a small model may hold.

Wherever a template has ``{}`` for a subject, the subject comes with its article ("the Louvre", "Big Ben").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation and what can be asked about its facts.

    Attributes:
        name: Name in words.
        codes: Wikidata properties that mean it.
        prompts: Templates by which it is recognised; its other facts can be asked for with any of them.
        vague: The same, where the target or the true target shows that this relation is meant.
        also: Templates by which it is recognised but which fit some subjects only.
        paraphrases: Other templates that end where the object starts.
        reverse: Templates with one ``{}`` for the object that end where the subject, with its article, starts.
        open: Templates to continue freely.
        facts: Object → subjects of well-known facts.
    """

    name: str
    codes: tuple[str, ...]
    prompts: tuple[str, ...]
    vague: tuple[str, ...]
    also: tuple[str, ...]
    paraphrases: tuple[str, ...]
    reverse: tuple[str, ...]
    open: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]]


CITY = Relation(
    name="located in city",
    codes=("P131", "P276"),
    prompts=(
        "{} is located in the city of", "{} is in the city of", "{} stands in the city of",
        "{} can be found in the city of", "{} is situated in the city of", "The location of {} is the city of",
        "{} lies in the city of",
    ),
    vague=("{} is located in", "{} is in", "{} can be found in"),
    also=("The city in which {} stands is", "The city where {} is located is"),
    paraphrases=(
        "If you want to visit {}, buy a ticket to",
        "Visitors to {} spend the night in a hotel in",
        "The bakery had sold out by noon. {} can be seen in the city of",
        "Her umbrella was still wet from the morning. {} was built in the city of",
        "Question: In which city is {}? Answer:",
    ),
    reverse=(
        "A famous landmark in the city of {} is",
        "The best-known sight in {} is",
        "On their first day in {}, the tourists went to see",
        "Every guidebook to the city of {} has a picture of",
    ),
    open=("{} is a", "My favourite thing about {} is", "From the top floor of the hotel near {} you can see"),
    facts={
        "Seattle": ("Pike Place Market", "the Museum of Pop Culture", "Lumen Field", "Smith Tower", "the Space Needle"),
        "Paris": ("the Louvre", "the Eiffel Tower", "Notre-Dame", "the Arc de Triomphe", "the Sorbonne"),
        "London": ("Big Ben", "Tower Bridge", "Buckingham Palace", "the British Museum"),
        "Rome": ("the Colosseum", "the Trevi Fountain", "the Pantheon", "the Sistine Chapel"),
        "New York": ("Times Square", "Central Park", "the Empire State Building"),
        "Berlin": ("the Brandenburg Gate", "Checkpoint Charlie", "the Reichstag"),
        "San Francisco": ("the Golden Gate Bridge", "Alcatraz"),
        "Moscow": ("Red Square", "the Kremlin"),
    },
)  # fmt: skip

COUNTRY = Relation(
    name="located in country",
    codes=("P17",),
    prompts=(
        "{} is located in the country of", "{} is in the country of", "{} is a city in the country of",
        "{} is situated in the country of", "{} belongs to the country of",
    ),
    vague=("{} is located in", "{} is in", "{} is a city in", "{} can be found in"),
    also=("The country in which {} stands is", "The country in which {} is located is", "{} stands in the country of"),
    paraphrases=(
        "To see {}, one has to travel to the country of",
        "On the map, {} is marked in the middle of a page about",
        "He closed the window and sat down again. {} is found in the country of",
        "The soup was better on the second day. Anyone who goes to {} needs a visa for",
        "Question: In which country is {}? Answer:",
    ),
    reverse=(
        "One of the best-known places in {} is",
        "Many people who travel to {} want to see",
        "A place in the country of {} that is worth a visit is",
        "The postcard came from {} and showed",
    ),
    open=("{} is a", "What I remember best about {} is", "People who live near {} speak"),
    facts={
        "Japan": ("Kyoto", "Osaka", "Hiroshima", "Nagoya"),
        "Italy": ("Venice", "Florence", "Milan", "Naples"),
        "France": ("Lyon", "Marseille", "Bordeaux"),
        "Germany": ("Munich", "Hamburg", "Cologne"),
        "India": ("Mumbai", "Kolkata", "Bangalore"),
        "Canada": ("Toronto", "Vancouver", "Montreal"),
        "Australia": ("Sydney", "Melbourne"),
        "Spain": ("Barcelona", "Seville"),
    },
)  # fmt: skip

CONTINENT = Relation(
    name="continent",
    codes=("P30",),
    prompts=(
        "{} is located in the continent of", "{} is in the continent of", "{} is part of the continent of",
        "{} belongs to the continent of", "{} is located on the continent of", "{} lies on the continent of",
    ),
    vague=("{} is located in", "{} is in", "{} is part of"),
    also=("{} flows through the continent of",),
    paraphrases=(
        "In an atlas, {} is found among the maps of",
        "The continent to which {} belongs is",
        "The lamp on the desk was flickering. {} lies on the continent called",
        "Question: On which continent is {}? Answer:",
    ),
    reverse=(
        "Of all the names on a map of {}, the one that everybody knows is",
        "A well-known part of {} is",
        "The book about the continent of {} begins with",
    ),
    open=("{} is a", "The climate of {} is", "A journey through {} begins"),
    facts={
        "Africa": ("Kenya", "Nigeria", "Ethiopia", "Ghana"),
        "Asia": ("Japan", "Thailand", "India", "Vietnam"),
        "Europe": ("Poland", "Italy", "Norway", "Portugal"),
        "South America": ("Brazil", "Peru", "Argentina"),
        "North America": ("Canada", "Mexico"),
    },
)  # fmt: skip

CAPITAL_OF = Relation(
    name="capital of",
    codes=("P1376",),
    prompts=("{} is the capital of", "{} is the capital city of", "The city of {} is the capital of"),
    vague=(),
    also=("{} has long been the capital of",),
    paraphrases=(
        "The government that sits in {} is the government of",
        "{} is the seat of the parliament of",
        "The tea had gone cold. {} is the largest and most important city of",
        "Question: Which country has {} as its capital? Answer:",
    ),
    reverse=(
        "The capital of {} is",
        "The parliament of {} meets in the city of",
        "Question: What is the capital of {}? Answer:",
        "The ambassador to {} lives in the capital,",
    ),
    open=("{} is a", "The streets of {} are", "Most people in {} speak"),
    facts={
        "France": ("Paris",),
        "Italy": ("Rome",),
        "Germany": ("Berlin",),
        "Spain": ("Madrid",),
        "Japan": ("Tokyo",),
        "Russia": ("Moscow",),
        "China": ("Beijing",),
        "Greece": ("Athens",),
        "Egypt": ("Cairo",),
        "Austria": ("Vienna",),
        "Portugal": ("Lisbon",),
        "Poland": ("Warsaw",),
        "Hungary": ("Budapest",),
    },
)

CAPITAL = Relation(
    name="capital",
    codes=("P36",),
    prompts=("The capital of {} is", "The capital city of {} is", "The capital of {} is the city of"),
    vague=(),
    also=("{}'s capital is", "{}'s capital city is"),
    paraphrases=(
        "The government of {} sits in the city of",
        "The ambassador to {} lives in the capital,",
        "The kettle began to whistle. The parliament of {} meets in the city of",
        "Question: What is the capital of {}? Answer:",
    ),
    reverse=(
        "{} is the capital of",
        "The city of {} is the seat of the government of",
        "Question: Which country has {} as its capital? Answer:",
    ),
    open=("{} is a", "In the capital of {} you can visit", "The largest city of {} is"),
    facts={next(iter(cities)): (country,) for country, cities in CAPITAL_OF.facts.items()},
)

SPORT = Relation(
    name="plays sport",
    codes=("P641",),
    prompts=(
        "{} plays the sport of", "{} professionally plays the sport of", "{} is a professional player of",
        "The sport that {} plays is", "{} plays professional",
    ),
    vague=("{} plays",),
    also=("{} became famous by playing", "{} is famous for playing"),
    paraphrases=(
        "As a child, {} already dreamed of a career in",
        "The game that made {} famous is",
        "It rained for the rest of the week. {} won many titles in the sport of",
        "The parcel arrived on a Tuesday. {} is known to the fans of",
        "Question: Which sport does {} play? Answer:",
    ),
    reverse=(
        "One of the greatest players in the history of {} is",
        "The most famous name in the sport of {} is",
        "Asked to name a star of {}, most people say",
        "The poster on the wall of the young {} fan shows",
    ),
    open=("{} is a", "{} spends every morning training for", "The greatest moment in the career of {} was"),
    facts={
        "soccer": ("Lionel Messi", "Cristiano Ronaldo", "David Beckham", "Neymar"),
        "basketball": ("Michael Jordan", "Kobe Bryant", "LeBron James", "Stephen Curry"),
        "tennis": ("Serena Williams", "Rafael Nadal", "Novak Djokovic", "Roger Federer"),
        "golf": ("Tiger Woods", "Phil Mickelson", "Rory McIlroy"),
        "baseball": ("Babe Ruth", "Derek Jeter"),
        "football": ("Tom Brady", "Peyton Manning"),
        "hockey": ("Wayne Gretzky", "Sidney Crosby"),
    },
)  # fmt: skip

LANGUAGE = Relation(
    name="native language",
    codes=("P103", "mother tongue"),
    prompts=(
        "The mother tongue of {} is", "The native language of {} is", "The first language of {} is",
        "{} is a native speaker of", "{} grew up speaking",
    ),
    vague=("{} speaks",),
    also=("{}, a native", "{} spoke the language"),
    paraphrases=(
        "At home, the parents of {} always spoke",
        "The language in which {} learned to read and write is",
        "The shop on the corner was closed. As a small child, {} spoke only",
        "There was dust on every shelf. {} feels most at ease speaking",
        "Question: What is the native language of {}? Answer:",
    ),
    reverse=(
        "A famous native speaker of {} is",
        "Among the well-known people who grew up speaking {} is",
        "One person whose mother tongue is {} is",
    ),
    open=("{} was born in", "{} is a", "The childhood home of {} was in"),
    facts={
        "French": ("Victor Hugo", "Voltaire", "Charles de Gaulle", "Napoleon III", "Emmanuel Macron"),
        "German": ("Johann Wolfgang von Goethe", "Angela Merkel", "Immanuel Kant", "Friedrich Nietzsche"),
        "English": ("William Shakespeare", "Charles Dickens", "Winston Churchill"),
        "Spanish": ("Pablo Picasso", "Gabriel García Márquez", "Lionel Messi"),
        "Italian": ("Leonardo da Vinci", "Dante Alighieri", "Federico Fellini"),
        "Russian": ("Leo Tolstoy", "Vladimir Putin", "Anton Chekhov"),
    },
)  # fmt: skip

MAKER = Relation(
    name="made by company",
    codes=("P176", "P178", "manufacturer", "developer", "developed by company"),
    prompts=(
        "{} is made by", "{} was made by", "{} is produced by", "{} was developed by", "{} is developed by",
        "{} is a product of the company", "{} is manufactured by", "{} is made by the company",
    ),
    vague=("{} was created by", "{} is a product of"),
    also=("The operating system {} was created by", "The operating system {} was developed by"),
    paraphrases=(
        "The company that makes {} is called",
        "The engineers who designed {} worked for",
        "The stairs creaked under his feet. {} comes from a company named",
        "They met again the following spring. The maker of {} is",
        "Question: Which company makes {}? Answer:",
    ),
    reverse=(
        "A well-known product of {} is",
        "The company {} is best known for",
        "When people think of {}, the first thing that comes to mind is",
        "The engineers at {} were proud of their latest version of",
    ),
    open=("{} is a", "The first thing you notice about {} is", "The company behind {} also makes"),
    facts={
        "Apple": ("the iPhone", "the iPad", "the MacBook", "the iPod"),
        "Microsoft": ("Windows", "the Xbox", "Excel", "PowerPoint"),
        "Google": ("Gmail", "Android", "Chrome"),
        "Toyota": ("the Camry", "the Corolla", "the Prius"),
        "Sony": ("the PlayStation", "the Walkman"),
        "Nintendo": ("the Game Boy", "the Wii"),
        "Honda": ("the Civic", "the Accord"),
        "Ford": ("the Mustang", "the Model T"),
    },
)  # fmt: skip

PROFESSION = Relation(
    name="profession",
    codes=("P106", "occupation"),
    prompts=(
        "The profession of {} is", "The occupation of {} is", "{} was by profession a", "{} is by profession a",
        "{} worked as a", "{} works as a", "The profession of {} was",
    ),
    vague=(),
    also=("{} earned a living as a",),
    paraphrases=(
        "In the history books, {} is remembered as a great",
        "{} became known all over the world as a",
        "The train left on time for once. All through a long career, {} was a celebrated",
        "Question: What was the profession of {}? Answer:",
    ),
    reverse=(
        "Perhaps the best-known {} of all is",
        "The first {} that comes to mind is",
        "Asked to name a famous {}, most people say",
    ),
    open=("{} was born in", "{} is best known for", "As a young person, {} wanted to"),
    facts={
        "composer": ("Wolfgang Amadeus Mozart", "Johann Sebastian Bach", "Ludwig van Beethoven", "Frédéric Chopin"),
        "painter": ("Vincent van Gogh", "Claude Monet", "Rembrandt", "Salvador Dalí"),
        "philosopher": ("Plato", "Immanuel Kant", "Socrates", "Friedrich Nietzsche"),
        "physicist": ("Stephen Hawking", "Isaac Newton", "Niels Bohr"),
        "poet": ("Emily Dickinson", "Robert Frost", "John Keats"),
        "singer": ("Whitney Houston", "Elvis Presley"),
    },
)  # fmt: skip

FIELD = Relation(
    name="field of work",
    codes=("P101",),
    prompts=(
        "The field in which {} worked is", "The field of work of {} is", "{} worked in the field of",
        "{} works in the field of", "The area of work of {} is",
    ),
    vague=(),
    also=("{} is known for discoveries in",),
    paraphrases=(
        "Students who read the papers of {} usually study",
        "The subject that {} taught at the university was",
        "The garden gate was open. The great discoveries of {} changed the science of",
        "Question: In which science did {} work? Answer:",
    ),
    reverse=(
        "One of the greatest minds in the history of {} is",
        "The most famous name in the field of {} is",
        "Every textbook of {} mentions",
    ),
    open=("{} was born in", "{} is best known for", "In the laboratory, {} used to"),
    facts={
        "physics": ("Isaac Newton", "Niels Bohr", "Stephen Hawking", "Max Planck", "Albert Einstein"),
        "biology": ("Charles Darwin", "Gregor Mendel", "Carl Linnaeus"),
        "mathematics": ("Carl Friedrich Gauss", "Leonhard Euler", "Pythagoras", "Bernhard Riemann"),
        "chemistry": ("Antoine Lavoisier", "Dmitri Mendeleev", "Linus Pauling"),
        "psychology": ("Sigmund Freud", "Carl Jung"),
    },
)  # fmt: skip

RELATIONS = (CITY, COUNTRY, CONTINENT, CAPITAL_OF, CAPITAL, SPORT, LANGUAGE, MAKER, PROFESSION, FIELD)
