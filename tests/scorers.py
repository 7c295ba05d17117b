"""A scorer in a file of its own, which does what a text tells it to."""

SHOUTING = '''
import os, time
from obverse.core import Config

class ShoutingConfig(Config):
    scale: float = 1.0

class Shouting:
    """Share of capitals; some words make it fail."""

    config_type = ShoutingConfig
    unit = "capitals a character"
    segments = "sentences"

    def __init__(self, config):
        self.config = config

    def score(self, texts):
        for text in texts:
            if "RAISE" in text:
                raise ValueError("a word it cannot stand")
            if "HANG" in text:
                time.sleep(60)
            if "DIE" in text:
                os._exit(3)
        return [float("nan") if "NAN" in t else self.config.scale * sum(map(str.isupper, t)) / len(t) for t in texts]

class Short(Shouting):
    def score(self, texts):
        return [0.0]

class Broken(Shouting):
    def __init__(self, config):
        os._exit(4)
'''
