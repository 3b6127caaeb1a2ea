# SPDX-License-Identifier: Apache-2.0
"""Chance that is the same in every version of Python: a seed says everything."""

MASK = (1 << 64) - 1


class Chance:
    """SplitMix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, seed):
        self.state = seed & MASK

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, count):
        return self.bits() % count

    def between(self, least, most):
        return least + self.below(most - least + 1)

    def one_in(self, count):
        return self.below(count) == 0

    def pick(self, things):
        return things[self.below(len(things))]

    def some(self, letters, count):
        return "".join(self.pick(letters) for _ in range(count))

    def digits(self, count):
        return self.some("0123456789", count)

    def shuffle(self, things):
        for i in range(len(things) - 1, 0, -1):
            j = self.below(i + 1)
            things[i], things[j] = things[j], things[i]
