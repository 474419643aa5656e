"""What serves: endpoints, their fleets of model servers, and InvokeEndpoint."""

from sagemaker_local.hosting.endpoints import Hosting

__all__ = ["Hosting"]
