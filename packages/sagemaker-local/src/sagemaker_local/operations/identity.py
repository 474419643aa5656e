"""Who am I and which role: what clients ask STS and IAM beside SageMaker."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sagemaker_local.registry import operation

if TYPE_CHECKING:
    from sagemaker_local.service import Service

_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)


@operation("sts", "GetCallerIdentity")
def get_caller_identity(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Answer the account that is played; everyone is its user "local"."""
    account = service.settings.account
    return {
        "UserId": "AIDALOCALLOCALLOCAL00",
        "Account": account,
        "Arn": f"arn:aws:iam::{account}:user/local",
    }


@operation("iam", "GetRole")
def get_role(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a role that SageMaker may take on: here every role exists."""
    name = request["RoleName"]
    digest = hashlib.sha256(name.encode()).hexdigest()[:17].upper()
    return {
        "Role": {
            "Path": "/",
            "RoleName": name,
            "RoleId": f"AROA{digest}",
            "Arn": f"arn:aws:iam::{service.settings.account}:role/{name}",
            "CreateDate": 1_700_000_000,
            "AssumeRolePolicyDocument": _TRUST,
            "MaxSessionDuration": 3600,
        }
    }
