"""Models that statistical probes look at: each answers from a process of its own, and no code of a method runs here.

One job a model answers about all sets of a case at once. A probe that asks about other items, or has a generator draw,
costs one more job each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from disgorge.errors import NotOffered
from disgorge.method import Items
from disgorge.training.answer import Draw, Question
from disgorge.training.ask import Answered, Answers, ask
from disgorge.training.recipe import Runner

if TYPE_CHECKING:
    from disgorge.method import Array


@dataclass(slots=True)
class AskedModel:
    """A model as probes see it, see :class:`~disgorge.method.Answering`; ``answers`` are those about ``sets``."""

    task: str
    runner: Runner
    question: Question
    sets: tuple[Items, ...]
    answers: Answers

    def scores(self, items: Items) -> "Array":
        """Return the scores, shape (items,)."""
        return self._there(self._about(items), "scores")

    def predict(self, items: Items) -> "Array":
        """Return class probabilities, shape (items, classes)."""
        return self._there(self._about(items), "predictions")

    def utility(self, items: Items) -> dict[str, float]:
        """Return named measures, the headline first."""
        return self._about(items).measures

    def sample(self, count: int, *, seed: int) -> "Array":
        """Return samples, shape (count, ...)."""
        (answers,) = ask(self.runner, [replace(self.question, draw=Draw(count, seed))])
        if answers.drawn is None:
            raise NotImplementedError(f"a model made to {self.task} cannot be sampled")
        return answers.drawn

    def _about(self, items: Items) -> Answered:
        for known, answered in zip(self.sets, self.answers.sets, strict=True):
            if known is items:
                return answered
        (answers,) = ask(self.runner, [self.question], [items])
        return answers.sets[0]

    def _there(self, answered: Answered, what: str) -> "Array":
        found: Array | None = getattr(answered, what)
        if found is None:
            why = answered.lacking.get(what, "it does not classify" if what == "predictions" else "it offers none")
            raise NotOffered(f"the model gives no {what}: {why}")
        return found


def asked_models(runner: Runner, questions: Sequence[Question], sets: tuple[Items, ...]) -> tuple[AskedModel, ...]:
    """Return models that were asked about sets of items, each in a process of its own."""
    found = zip(questions, ask(runner, questions, sets), strict=True)
    return tuple(AskedModel(answers.task, runner, question, sets, answers) for question, answers in found)
