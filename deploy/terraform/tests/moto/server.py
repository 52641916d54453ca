"""An emulated AWS account on a port of this machine: moto's, with what it forgets and Terraform asks for again.

    python server.py PORT

Lambda functions answer without being run.
"""

import sys

from moto.awslambda.models import LambdaFunction
from moto.core.config import default_user_config
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend
from moto.server import main
from moto.sqs.models import Queue

get_configuration = LambdaFunction.get_configuration
init = LambdaFunction.__init__
queue_attributes = Queue.attributes.fget
rotate_secret = SecretsManagerBackend.rotate_secret
to_dict = FakeSecret.to_dict
update_configuration = LambdaFunction.update_configuration

# What Lambda fills in where only the format is given.
JSON_LEVELS = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}


def init_with_logging(self, account_id, spec, region, version=1):
    init(self, account_id, spec, region, version)
    self.logging = spec.get("LoggingConfig")


def update_with_logging(self, updates):
    self.logging = updates.get("LoggingConfig", self.logging)
    return update_configuration(self, updates)


def configuration_with_logging(self, on_create=False):
    configuration = get_configuration(self, on_create)
    if self.logging:
        levels = JSON_LEVELS if self.logging["LogFormat"] == "JSON" else {}
        configuration["LoggingConfig"] = {**levels, **self.logging}
    return configuration


def rotate_secret_by_expression(self, secret_id, client_request_token=None, rotation_lambda_arn=None,
                                rotation_rules=None, rotate_immediately=True):
    """moto's own, which forgets a schedule that is an expression, and takes a rotation without a function for the end of it."""
    secret = self.secrets[secret_id]
    arn = rotation_lambda_arn or secret.rotation_lambda_arn
    answer = rotate_secret(self, secret_id, client_request_token, arn, rotation_rules, rotate_immediately)
    secret.rotation_enabled = True
    secret.rules = rotation_rules or getattr(secret, "rules", None)
    return answer


def to_dict_with_rules(self):
    described = to_dict(self)
    if getattr(self, "rules", None):
        described["RotationRules"] = self.rules
    return described


def attributes_with_redrive(self):
    allowed = getattr(self, "redrive_allow_policy", None)
    return {**queue_attributes(self), **({"RedriveAllowPolicy": allowed} if allowed else {})}


LambdaFunction.__init__ = init_with_logging
LambdaFunction.update_configuration = update_with_logging
LambdaFunction.get_configuration = configuration_with_logging
SecretsManagerBackend.rotate_secret = rotate_secret_by_expression
FakeSecret.to_dict = to_dict_with_rules
Queue.attributes = property(attributes_with_redrive)
default_user_config["lambda"]["use_docker"] = False

main(["-H", "127.0.0.1", "-p", sys.argv[1]])
