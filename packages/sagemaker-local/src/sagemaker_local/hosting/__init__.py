"""What serves: endpoints, their fleets of model servers, and InvokeEndpoint."""

from tradewind.local.sagemaker.hosting.endpoints import Hosting

__all__ = ["Hosting"]
