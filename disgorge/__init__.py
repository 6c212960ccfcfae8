"""What is done about a removal request, and the proof of it.

The pass: request -> impact -> decision -> plan -> approval -> execution -> evidence -> report.
:mod:`disgorge.method` says what a method is, :mod:`disgorge.plan.plan` chooses remedies,
:mod:`disgorge.removal.execute` carries them out, :mod:`disgorge.evidence.checks` measures,
:mod:`disgorge.report.bundle` writes the bundle an outsider checks.
"""

__version__ = "0.1.0"
