"""The fields of a RayService (ray.io/v1) that the manifests use; anything else is refused.

https://ray-project.github.io/kuberay/reference/api/
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RayService"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Metadata(_Strict):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=47)  # KubeRay appends to it


class _PodMetadata(_Strict):
    labels: dict[str, str]


class _PodTemplate(_Strict):
    metadata: _PodMetadata | None = None
    spec: dict[str, Any]  # checked as a Pod's, by the Kubernetes schema


class _Head(_Strict):
    rayStartParams: dict[str, str]  # noqa: N815 (the resource's names)
    template: _PodTemplate


class _Workers(_Head):
    groupName: str  # noqa: N815
    replicas: int = Field(ge=0)
    minReplicas: int = Field(ge=0)  # noqa: N815
    maxReplicas: int = Field(ge=1)  # noqa: N815


class _Cluster(_Strict):
    rayVersion: str  # noqa: N815
    headGroupSpec: _Head  # noqa: N815
    workerGroupSpecs: list[_Workers]  # noqa: N815


class _Upgrade(_Strict):
    type: Literal["NewCluster", "None"]


class _Spec(_Strict):
    upgradeStrategy: _Upgrade  # noqa: N815
    rayClusterDeletionDelaySeconds: int = Field(ge=0)  # noqa: N815
    serveConfigV2: str  # noqa: N815
    rayClusterConfig: _Cluster  # noqa: N815


class RayService(_Strict):
    """The whole resource."""

    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayService"]
    metadata: _Metadata
    spec: _Spec
