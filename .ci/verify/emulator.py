"""An emulated AWS account: moto's, with the CloudFormation resources that template.yaml has and it does not know.

moto passes over resource types that it does not know. Here they are made by moto's own services, from the properties as
moto's CloudFormation resolved them.
"""

import collections
import json

from moto import mock_aws
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend
from moto.cloudformation import models, parsing
from moto.iam.models import Role as MotoRole
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.utilities.utils import get_partition


moto_clean_json = parsing.clean_json


def clean_json(value, resources):
    """What CloudFormation does and moto does not: AWS::NoValue leaves a list without the item."""
    cleaned = moto_clean_json(value, resources)
    return [item for item in cleaned if item is not None] if isinstance(cleaned, list) else cleaned


class ResourceMap(parsing.ResourceMap):
    """moto's own, which takes every region for one of the partition aws."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._parsed_resources["AWS::Partition"] = get_partition(self._region_name)


moto_create_resource = parsing.parse_and_create_resource
# The properties of each resource as CloudFormation would pass them on, by region and logical id.
resolved = collections.defaultdict(dict)


def create_resource(logical_id, resource_json, resources_map, account_id, region_name):
    """moto's own, which passes over what it does not know, and forgets properties."""
    condition = resource_json.get("Condition")
    resource = moto_create_resource(logical_id, resource_json, resources_map, account_id, region_name)
    if not condition or resources_map.lazy_condition_map[condition]:
        properties = clean_json(resource_json.get("Properties", {}), resources_map)
        resolved[region_name][logical_id] = {"Type": resource_json["Type"], **properties}
    return resource


moto_update_resource = parsing.parse_and_update_resource


def update_resource(*arguments, **named):
    """moto's own, which forgets a resource that it cannot update. CloudFormation would replace it."""
    return moto_update_resource(*arguments, **named) or create_resource(*arguments, **named)


parsing.clean_json = clean_json
parsing.parse_and_create_resource = create_resource
parsing.parse_and_update_resource = update_resource
models.ResourceMap = ResourceMap


class Resource:
    """A resource that CloudFormation knows by a physical id and some attributes."""

    def __init__(self, physical_id, **attributes):
        self.physical_resource_id = physical_id
        self.attributes = attributes

    def get_cfn_attribute(self, name):
        return self.attributes[name]

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "Arn"

    def is_created(self):
        return True

    def delete(self, account_id, region_name):
        """Nothing else knows it."""

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)


class Function(LambdaFunction):
    """moto's own, which leaves out these properties."""

    __module__ = LambdaFunction.__module__  # where moto looks for the service

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        function = super().create_from_cloudformation_json(resource_name, cloudformation_json, account_id, region_name)
        asked = cloudformation_json["Properties"]
        function.architectures = asked["Architectures"]
        function.tracing_config = asked["TracingConfig"]
        # moto knows no logging configuration. Tags are where it can be read through the API.
        tags = {"asked/" + key: value for key, value in asked["LoggingConfig"].items()}
        get_backend(account_id, region_name).tag_resource(function.function_arn, tags)
        return function


class Role(MotoRole):
    """moto's own, whose policies come back as Python's words, not as JSON."""

    __module__ = MotoRole.__module__

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        for policy in cloudformation_json["Properties"]["Policies"]:
            policy["PolicyDocument"] = json.dumps(policy["PolicyDocument"])
        return super().create_from_cloudformation_json(resource_name, cloudformation_json, account_id, region_name)


class Alarm(Resource):
    """No more than its ARN. What was asked for is in resolved."""

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        return cls(resource_name, Arn=f"arn:{get_partition(region_name)}:cloudwatch:{region_name}:{account_id}:alarm:{resource_name}")


class Recorded(Resource):
    """What only resolved knows."""

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        return cls(resource_name)


class RotationSchedule(Resource):
    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        asked = cloudformation_json["Properties"]
        backend = secretsmanager_backends[account_id][region_name]
        rotates_at_once = str(asked["RotateImmediatelyOnUpdate"]).lower() == "true"
        backend.rotate_secret(
            asked["SecretId"],
            rotation_lambda_arn=asked["RotationLambdaARN"],
            rotation_rules=asked["RotationRules"],
            rotate_immediately=rotates_at_once,
        )
        # moto forgets a schedule that is an expression.
        backend.tag_resource(
            asked["SecretId"],
            {
                "asked/ScheduleExpression": asked["RotationRules"]["ScheduleExpression"],
                "asked/Duration": asked["RotationRules"].get("Duration", ""),
                "asked/RotateImmediately": str(rotates_at_once),
            },
        )
        return cls(asked["SecretId"])


class TopicPolicy(Resource):
    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        asked = cloudformation_json["Properties"]
        for topic in asked["Topics"]:
            sns_backends[account_id][region_name].set_topic_attribute(topic, "policy", json.dumps(asked["PolicyDocument"]))
        return cls(resource_name)


for kind, name_property, made_by in [
    ("AWS::Lambda::Function", "FunctionName", Function),
    ("AWS::IAM::Role", "RoleName", Role),
    ("AWS::CloudWatch::Alarm", "AlarmName", Alarm),
    ("AWS::SecretsManager::RotationSchedule", "", RotationSchedule),
    ("AWS::SNS::TopicPolicy", "", TopicPolicy),
    ("AWS::Logs::MetricFilter", "", Recorded),
    ("AWS::SQS::QueuePolicy", "", Recorded),
]:
    parsing.get_model_map()[kind] = made_by
    parsing.get_name_type_map()[kind] = name_property


def emulated_account():
    """A context in which boto3 talks to empty accounts. Lambda functions answer without being run."""
    return mock_aws(config={"lambda": {"use_docker": False}})
