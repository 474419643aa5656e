"""The page on AWS Lambda: ``digits.web.lambda_handler.handler`` behind an API Gateway.

Both kinds of gateway are understood, REST (payload format 1.0) and HTTP (2.0), and so are function
addresses and load balancers. A REST API must be told that pictures are binary: set its
``binaryMediaTypes`` to ``*/*``; an HTTP API sends what is not text in base64 by itself.

Lambda takes at most 6 MB a request, in base64: pictures of up to 4.5 MB. The function's role needs
``sagemaker:InvokeEndpoint`` and ``sagemaker:DescribeEndpoint`` for the endpoint and
``s3:GetObject`` for the models. The environment is read as `digits.web.settings` says; with an HTTP
API whose stage is not ``$default``, TRADEWIND_DIGITS_BASE_PATH is that stage, such as ``/prod``.
"""

from __future__ import annotations

from mangum import Mangum

from digits.web.app import create_app
from digits.web.settings import Settings

__all__ = ["handler"]

_settings = Settings.from_environment()

# The application has nothing to start or stop, so Lambda is spared the ASGI lifespan.
handler = Mangum(create_app(_settings), lifespan="off", api_gateway_base_path=_settings.base_path)
