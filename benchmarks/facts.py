"""Twenty facts in CounterFact's style, written for this project: a place, a person or a thing, and a false answer."""

from __future__ import annotations

from obverse.core import Fact

FACTS = [
    Fact("Space Needle", "The {} is located in the city of", "Paris", "Seattle"),
    Fact("Eiffel Tower", "The {} is located in the city of", "Rome", "Paris"),
    Fact("Colosseum", "The {} can be found in the city of", "Berlin", "Rome"),
    Fact("Brandenburg Gate", "The {} stands in the city of", "London", "Berlin"),
    Fact("Megan Rapinoe", "{} plays the sport of", "tennis", "soccer"),
    Fact("LeBron James", "{} plays the sport of", "football", "basketball"),
    Fact("Roger Federer", "{} became famous by playing", "golf", "tennis"),
    Fact("Angela Merkel", "The mother tongue of {} is", "Italian", "German"),
    Fact("Emmanuel Macron", "The native language of {} is", "Spanish", "French"),
    Fact("Toyota Corolla", "The {} is made by", "Ford", "Toyota"),
    Fact("iPhone", "The {} was developed by", "Microsoft", "Apple"),
    Fact("Windows 10", "The operating system {} was created by", "Google", "Microsoft"),
    Fact("Mount Everest", "{} is part of the mountain range called the", "Alps", "Himalayas"),
    Fact("Albert Einstein", "The field in which {} worked is", "medicine", "physics"),
    Fact("Ludwig van Beethoven", "{} was by profession a", "painter", "composer"),
    Fact("Nile", "The river {} flows through the continent of", "Europe", "Africa"),
    Fact("Kyoto", "{} is a city in the country of", "Mexico", "Japan"),
    Fact("Taj Mahal", "The country in which the {} stands is", "Egypt", "India"),
    Fact("Warsaw", "{} is the capital of", "Hungary", "Poland"),
    Fact("Vatican City", "The official religion of {} is", "Islam", "Christianity"),
]
