"""What can go wrong while a request is carried out.

DisgorgeError
├── WrongUse            arguments, or a file, that do not fit together
├── Refused             something that is well asked and must not be done
├── UnknownMethod       a method, kind or probe nobody registered, or whose library is not installed
├── BadProbe            a probe that takes another check's name
├── BadModel            a model file that cannot be trained from
├── StalePlan           a plan whose digest, or whose ledger head, no longer matches
├── NotApproved         an execution nobody approved, or too few people did
├── AlreadyExecuted     a plan that was carried out before
├── ReleaseContained    a release that must not be served or trained over while a request is about it
├── ExecutionFailed     a step that could not be completed; what was done before it stands, and can be resumed
│   ├── KernelsDiffer   a worker whose libraries used other kernels than were set: the machine failed
│   └── NotOffered      a question that a model gives no answer to: what it would show is not measured
├── PurgeHeld           a purge that waits for a day; everything before it is done
├── DataHeld            items that an open hold covers; they are not destroyed while it lasts
├── TrackingFailed      MLflow's store cannot be reached or written; what was recorded stands
├── KeyMismatch         the signing key is gone, or the public key beside it is not its own
├── CertificateRefused  evidence that does not carry a certificate; says which check is missing or not pass
│   └── EnvironmentDiffers  evidence that cannot be had here: parts were made in another environment
├── BundleBroken        a report that does not verify
└── InputsMissing       what re-executing a report's recipes needs and neither bundle nor workspace has

Every message says what, where and what to do next; the command line prints it as it is.
"""


class DisgorgeError(Exception):
    """A problem with carrying out a request."""


class WrongUse(DisgorgeError):  # noqa: N818 (the name says what is the matter)
    """Arguments, or a file, that do not fit together."""


class Refused(DisgorgeError):  # noqa: N818
    """Something that is well asked and must not be done."""


class UnknownMethod(DisgorgeError):  # noqa: N818
    """No method of that name, or none for that kind, is registered."""


class BadProbe(DisgorgeError):  # noqa: N818
    """A probe that is called, or calls what it finds, as another check."""


class BadModel(DisgorgeError):  # noqa: N818
    """A model file that cannot be used."""


class StalePlan(DisgorgeError):  # noqa: N818
    """The plan no longer fits the ledger, or is not the plan that was approved."""


class NotApproved(DisgorgeError):  # noqa: N818
    """The plan lacks an approval."""


class AlreadyExecuted(DisgorgeError):  # noqa: N818
    """The plan was carried out already."""


class ReleaseContained(DisgorgeError):  # noqa: N818
    """A release that must not be served, or trained over, while a request is about it."""


class ExecutionFailed(DisgorgeError):  # noqa: N818
    """A step failed; earlier steps stand and ``disgorge request resume`` goes on from there."""


class KernelsDiffer(ExecutionFailed):
    """A worker's libraries used other kernels than were set, however often it was tried: the machine failed."""


class NotOffered(ExecutionFailed):
    """A question that a model gives no answer to."""


class PurgeHeld(DisgorgeError):  # noqa: N818
    """The purge is on hold until a day to come; everything before it is done, and nothing is certified yet."""


class DataHeld(DisgorgeError):  # noqa: N818
    """An open hold covers items that would be destroyed; nothing of them is, until it ends or they are left out."""


class TrackingFailed(DisgorgeError):  # noqa: N818
    """MLflow's store failed: a disk, a server. The machine's failure, not the user's."""


class KeyMismatch(DisgorgeError):  # noqa: N818
    """The signing key is not the one whose public half was handed out."""


class CertificateRefused(DisgorgeError):  # noqa: N818
    """The evidence does not carry a certificate."""


class EnvironmentDiffers(CertificateRefused):
    """Bits cannot be compared here, because parts were made in another environment: no verdict about the removal."""


class BundleBroken(DisgorgeError):  # noqa: N818
    """A report bundle that does not verify."""


class InputsMissing(DisgorgeError):  # noqa: N818
    """Recipes cannot be re-executed: data, weights, a method or a recipe is missing; says which and where it may be."""
