"""The user's code of today, with which a plan trains again where a person asks for it instead of the stored code."""

from disgorge.errors import DisgorgeError
from disgorge.plan.details import RenewalDetail
from disgorge.plan.plan import Action, Plan
from disgorge.training.assemble import spec_of
from disgorge.training.code.kept import code_made_with, keep_code
from disgorge.training.model_file import functions_of
from disgorge.training.runners.declared import method_of_model
from lineage.records import Impact
from lineage.workspace import Workspace


def code_of_today(workspace: Workspace, plan: Plan, impact: Impact) -> dict[str, dict[str, str]]:
    """Store the user's code as it lies below the working folder; return what recipes say of it, by composition.

    Only of models that are trained again and whose code differs. :class:`DisgorgeError` where there is none.
    """
    trained = {step.release for step in plan.steps if step.action is Action.RETRAIN}
    before = {
        step.detail.before
        for step in plan.steps
        if step.action is Action.RECOMPOSE and step.release in trained and isinstance(step.detail, RenewalDetail)
    }
    found, why = dict[str, dict[str, str]](), "trains no model again that calls functions of the user's"
    for composition in (hit.composition for hit in impact.releases if hit.composition.digest in before):
        spec = spec_of(composition)
        if composition.stored_code:
            why = f"would train {spec.release} again, which is composed of recorded components: attest these with the "
            why += "code of today (`disgorge attest --component NAME --recipe MODEL.yaml`), and compose it again"
        elif functions_of(spec):
            stored = code_made_with(workspace, (member.component for member in composition.members))
            now = method_of_model(spec).code
            if now is not None and now.tree.digest != stored.get("code"):
                found[composition.digest] = dict(keep_code(workspace, now))
            else:
                why = f"would train {spec.release} again with the very code that is stored"
    if not found:
        raise DisgorgeError(f"the plan {why}; leave --code current out")
    return found
