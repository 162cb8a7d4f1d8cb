"""CreateAcls (key 30): add access rules."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    Struct,
    array,
    int8,
    int16,
    int32,
    string,
)


class AclCreation(Struct):
    """One rule: who may or may not do what to which resource, from which host."""

    resource_type: int = int8()
    resource_name: str = string()
    resource_pattern_type: int = int8(default=3)
    principal: str = string()
    host: str = string()
    operation: int = int8()
    permission_type: int = int8()


class CreateAclsRequest(Request, api_key=ApiKey.CREATE_ACLS, versions="1-3", flexible="2+"):
    """The rules to add."""

    creations: list[AclCreation] = array(AclCreation)


class AclCreationResult(Struct):
    """The outcome for one rule."""

    error_code: int = int16()
    error_message: str | None = string(nullable="0+")


class CreateAclsResponse(Response, api_key=ApiKey.CREATE_ACLS, versions="1-3", flexible="2+"):
    """The outcome for every rule, in the order of the request."""

    throttle_time_ms: int = int32(default=0)
    results: list[AclCreationResult] = array(AclCreationResult)
