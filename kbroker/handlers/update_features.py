"""UpdateFeatures: this broker has no feature to switch, so every change is refused (KIP-584).

Versions 0 to 2. 0: `allow_downgrade` in place of the kind of change. 1: kinds of change, and
"validate only" (KIP-778). 2: one error for the whole, without a result for each feature. In all
of them one change that fails undoes the request, and Kafka says so in the error of the whole.
"""

from __future__ import annotations

from kbroker.handler import Handler, RequestContext
from wire.errors import ErrorCode
from wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3


def handle(context: RequestContext, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse:
    """No change at all succeeds; anything else is refused."""
    # Of a feature named twice the last change counts, as in Kafka.
    wanted = {update.feature: update for update in request.feature_updates}
    for update in wanted.values():
        return _answer(
            ErrorCode.INVALID_UPDATE_VERSION,
            "The update failed for all features since the following feature had an error: "
            f"Invalid update version {update.max_version_level} for feature {update.feature}. "
            + _problem(update, context.services.node_id),
        )
    return _answer(ErrorCode.NONE, None)


def _problem(update: FeatureUpdateKey, node_id: int) -> str:
    """Why a feature that is not there cannot have this level, in Kafka's words."""
    if update.upgrade_type not in (UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE):
        return "The controller does not support the given upgrade type."
    if update.max_version_level < 0:
        return "A feature version cannot be less than 0."
    if update.max_version_level == 0:
        return f"Feature {update.feature} not found."
    return f"Local controller {node_id} does not support this feature."


def _answer(code: ErrorCode, message: str | None) -> UpdateFeaturesResponse:
    return UpdateFeaturesResponse(error_code=code, error_message=message)


def error_response(
    request: UpdateFeaturesRequest, version: int, code: ErrorCode
) -> UpdateFeaturesResponse:
    """The whole request fails with `code`."""
    return _answer(code, code.name)


HANDLER = Handler(
    request=UpdateFeaturesRequest,
    versions=range(0, 3),
    handle=handle,
    error_response=error_response,
)
