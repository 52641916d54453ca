"""Creates the stack of template.yaml in an emulated account, and reads it back through the AWS API.

    python stack.py TEMPLATE ZIP

The SAM transform is AWS's own, the account is moto's. Prints a line for each thing that was checked, and fails at the
first that is not so.
"""

import json
import logging
import os
import sys

import boto3
from moto.events.models import EventPattern
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import checks
from checks import same
from emulator import emulated_account
from text import check_text

ACCOUNT = "123456789012"
NAME = "panther-token-rotation"
URL = "https://api.acme.runpanther.net/public/graphql"
ACTIONS = ["DescribeSecret", "GetSecretValue", "ListSecretVersionIds", "PutSecretValue", "UpdateSecretVersionStage"]


class Stack:
    """The stack as deployed in a region with the given parameters; its attributes are the clients to look at it."""

    def __init__(self, template, region, name, **parameters):
        checks.of(f"{name}, in {region}")
        self.region = region
        self.partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
        for service in ["cloudformation", "cloudwatch", "events", "iam", "lambda", "logs", "s3", "secretsmanager", "sns"]:
            # moto does not see the partition in the name of IAM's other hosts, but in the signature.
            host = "https://iam.amazonaws.com" if service == "iam" else None
            client = boto3.client(service, region_name=region, endpoint_url=host)
            setattr(self, "functions" if service == "lambda" else service, client)

        parameters = {"PantherApiUrl": URL, **parameters}
        os.environ["AWS_DEFAULT_REGION"] = region  # where the transform looks
        body = transform(template(), parameters, NoManagedPolicies())
        # The bucket is made as sam deploy makes one.
        self.cloudformation.create_stack(
            StackName="rotation",
            TemplateBody=json.dumps(body),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        stack = self.cloudformation.describe_stacks(StackName="rotation")["Stacks"][0]
        same("the stack is made", stack["StackStatus"], "CREATE_COMPLETE")
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        self.resources = {
            r["LogicalResourceId"]: r.get("PhysicalResourceId")
            for r in self.cloudformation.describe_stack_resources(StackName="rotation")["StackResources"]
            if "LogicalResourceId" in r  # moto lists those whose condition is false, too
        }
        self.function = self.functions.get_function_configuration(FunctionName=parameters.get("FunctionName", NAME))

    def arn(self, service, rest, account=ACCOUNT):
        return f"arn:{self.partition}:{service}:{self.region}:{account}:{rest}"

    def statements(self):
        """The role's statements by Sid, of all its policies."""
        role = self.resources["FunctionRole"]
        found = {}
        for policy in self.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = self.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            found.update({s["Sid"]: s for s in document["Statement"]})
        same("the role has no policy attached besides its own",
             self.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"], [])
        return found

class NoManagedPolicies:
    """The template names none by their short names."""

    def load(self):
        return {}


def check_wildcards(statements):
    allowed = [s for s in statements.values() if s["Effect"] == "Allow"]
    same("no statement has a wildcard that no condition binds",
         [s["Sid"] for s in allowed if not s.get("Condition") and wide(s["Resource"])], [])
    same("no action has a wildcard", [s["Sid"] for s in allowed if "*" in json.dumps(s["Action"])], [])


def wide(resources):
    """Whether these are more than one thing. The end of a log group's ARN stands for its streams."""
    resources = [resources] if isinstance(resources, str) else resources
    return any("*" in (r.removesuffix(":*") if ":log-group:" in r else r) for r in resources)


def check_function_alone(template, region):
    """What everybody gets, without a secret among the parameters."""
    stack = Stack(template, region, "the function alone")
    function = stack.function
    same("runtime, architecture, handler", [function["Runtime"], function["Architectures"], function["Handler"]],
         ["provided.al2023", ["arm64"], "bootstrap"])
    same("240 seconds, 256 MB", [function["Timeout"], function["MemorySize"]], [240, 256])
    same("JSON logging into its own log group, tracing",
         [stack.functions.list_tags(Resource=function["FunctionArn"])["Tags"], function["TracingConfig"]],
         [{"asked/LogFormat": "JSON", "asked/ApplicationLogLevel": "INFO", "asked/LogGroup": stack.resources["LogGroup"]},
          {"Mode": "Active"}])
    same("settings", function["Environment"]["Variables"], {
        "PANTHER_API_URL": URL, "SECRET_TOKEN_KEY": "PANTHER_API_TOKEN", "PROPAGATION_TIMEOUT": "3m",
        "RECOVERY_RECIPIENT": "", "LOG_LEVEL": "info"})
    group = stack.logs.describe_log_groups()["logGroups"][0]
    same("the log is kept for a year", group["retentionInDays"], 365)

    statements = stack.statements()
    check_wildcards(statements)
    same("no more than it needs", sorted(statements), ["RotateSecretsThatNameThisFunction", "WriteItsLog", "WriteTraces"])
    secrets = statements["RotateSecretsThatNameThisFunction"]
    same("five actions on secrets", secrets["Action"], ["secretsmanager:" + a for a in ACTIONS])
    same("on secrets of this account and region", secrets["Resource"], stack.arn("secretsmanager", "secret:*"))
    same("whose rotation names this function", secrets["Condition"],
         {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": stack.arn("lambda", f"function:{NAME}")}})
    same("its own log only",
         [statements["WriteItsLog"]["Action"], statements["WriteItsLog"]["Resource"].removesuffix(":*")],
         [["logs:CreateLogStream", "logs:PutLogEvents"], group["arn"].removesuffix(":*")])
    same("traces in this region, and none to read", [statements["WriteTraces"][k] for k in ["Action", "Resource", "Condition"]],
         [["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*", {"StringEquals": {"aws:RequestedRegion": region}}])
    trust = stack.iam.get_role(RoleName=stack.resources["FunctionRole"])["Role"]["AssumeRolePolicyDocument"]["Statement"]
    same("Lambda alone takes the role on", trust,
         [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}])

    policy = json.loads(stack.functions.get_policy(FunctionName=NAME)["Policy"])["Statement"]
    same("Secrets Manager of this account may invoke it, and nobody else",
         [[p["Action"], p["Principal"], p["Condition"]] for p in policy],
         [["lambda:InvokeFunction", {"Service": "secretsmanager.amazonaws.com"},
           {"StringEquals": {"AWS:SourceAccount": ACCOUNT}}]])

    alarms = {a["AlarmName"]: a for a in stack.cloudwatch.describe_alarms()["MetricAlarms"]}
    for alarm, namespace, metric, period in [
        ("token-not-stored", "PantherTokenRotation", "TokensNotStored", 60),
        ("errors", "AWS/Lambda", "Errors", 300),
        ("throttles", "AWS/Lambda", "Throttles", 300),
    ]:
        a = alarms[f"{NAME}-{alarm}"]
        same(f"alarm on {metric}, at the first", [
            a["Namespace"], a["MetricName"], a["Dimensions"], a["Statistic"], a["Period"], a["Threshold"],
            a["ComparisonOperator"], a["EvaluationPeriods"], a["TreatMissingData"], a["AlarmActions"]],
            [namespace, metric, [{"Name": "FunctionName", "Value": NAME}], "Sum", period, 1.0,
             "GreaterThanOrEqualToThreshold", 1, "notBreaching", []])
    same("no rule and no topic, if nobody is to be told", [stack.events.list_rules()["Rules"], stack.sns.list_topics()["Topics"]],
         [[], []])
    dashboard = json.loads(stack.cloudwatch.get_dashboard(DashboardName=NAME)["DashboardBody"])
    same("the dashboard is JSON and names no placeholder", "${" in json.dumps(dashboard), False)
    drawn = json.dumps(dashboard)
    same("and shows each metric",
         [m for m in ["RotationsSucceeded", "RotationsFailed", "TokensNotStored", "PropagationTime", "OutageTime", "Duration"]
          if m not in drawn], [])
    same("commands that need a secret are not among the outputs", sorted(stack.outputs),
         ["AddSecretCommand", "FunctionArn", "FunctionRoleArn", "LogCommand", "LogGroupName"])


def check_everything(template, region):
    """Every parameter set."""
    secrets = boto3.client("secretsmanager", region_name=region)
    made = secrets.create_secret(Name="acme/panther", SecretString="a token")
    key = f"arn:aws:kms:{region}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
    further = f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:further-AbCdEf"
    stack = Stack(
        template, region, "everything", SecretId="acme/panther", ScheduleExpression="cron(0 4 1 * ? *)",
        RotationWindow="3h", KmsKeyArns=key, AlarmEmail="security@example.com", FunctionName="rotate-panther",
        SubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1", Architecture="x86_64", Timeout="300",
        PropagationTimeout="4m", LogRetentionDays="30", FurtherSecretArns=further, SecretTokenKey="TOKEN",
        RecoveryRecipient="age1" + "q" * 58, LogLevel="debug",
        PermissionsBoundaryArn=f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    )
    function = stack.function
    same("architecture and timeout", [function["Architectures"], function["Timeout"]], [["x86_64"], 300])
    same("settings", function["Environment"]["Variables"], {
        "PANTHER_API_URL": URL, "SECRET_TOKEN_KEY": "TOKEN", "PROPAGATION_TIMEOUT": "4m",
        "RECOVERY_RECIPIENT": "age1" + "q" * 58, "LOG_LEVEL": "debug"})
    same("Lambda keeps the debug lines that the function writes",
         stack.functions.list_tags(Resource=function["FunctionArn"])["Tags"]["asked/ApplicationLogLevel"], "DEBUG")
    same("in the VPC", [function["VpcConfig"]["SubnetIds"], function["VpcConfig"]["SecurityGroupIds"]],
         [["subnet-1", "subnet-2"], ["sg-1"]])

    secret = secrets.describe_secret(SecretId="acme/panther")
    asked = {t["Key"]: t["Value"] for t in secret["Tags"]}
    same("the schedule, its window, and no rotation on deploy", asked, {
        "asked/ScheduleExpression": "cron(0 4 1 * ? *)", "asked/Duration": "3h", "asked/RotateImmediately": "False"})
    same("the secret's rotation names the function", secret["RotationLambdaARN"], function["FunctionArn"])
    value = secrets.get_secret_value(SecretId="acme/panther")
    same("the token is as it was", [value["SecretString"], value["VersionId"]], ["a token", made["VersionId"]])

    statements = stack.statements()
    check_wildcards(statements)
    same("for the function by its name",
         statements["RotateSecretsThatNameThisFunction"]["Condition"]["StringEquals"],
         {"secretsmanager:resource/AllowRotationLambdaArn": function["FunctionArn"]})
    kms = statements["UseTheSecretsKeys"]
    same("the key, by way of Secrets Manager, for secrets only", [kms["Action"], kms["Resource"], kms["Condition"]], [
        ["kms:Decrypt", "kms:GenerateDataKey"], [key],
        {"StringLike": {"kms:ViaService": f"secretsmanager.{region}.*",
                        "kms:EncryptionContext:SecretARN": stack.arn("secretsmanager", "secret:*")}}])
    same("Lambda may attach it to the VPC, its code may not use that",
         [statements["KeepTheCodeOutOfTheVpc"][k] for k in ["Effect", "Action", "Resource", "Condition"]],
         ["Deny", "ec2:*", "*", {"ArnEquals": {"lambda:SourceFunctionArn": function["FunctionArn"]}}])
    same("what Lambda needs there, in this region",
         [statements["LetLambdaAttachToTheVpc"][k] for k in ["Effect", "Resource", "Action", "Condition"]], [
        "Allow", "*",
        ["ec2:" + a for a in ["AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface",
                              "DescribeNetworkInterfaces", "DescribeSubnets", "UnassignPrivateIpAddresses"]],
        {"StringEquals": {"aws:RequestedRegion": region}}])
    role = stack.iam.get_role(RoleName=stack.resources["FunctionRole"])["Role"]
    same("permissions boundary", role["PermissionsBoundary"]["PermissionsBoundaryArn"], f"arn:aws:iam::{ACCOUNT}:policy/boundary")

    topic = stack.sns.list_topics()["Topics"][0]["TopicArn"]
    same("the address is subscribed",
         [[s["Protocol"], s["Endpoint"]] for s in stack.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]],
         [["email", "security@example.com"]])
    policy = json.loads(stack.sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]
    same("alarms of this account and events may publish",
         [[s["Principal"], s["Action"], s["Resource"], s.get("Condition")] for s in policy],
         [[{"Service": "cloudwatch.amazonaws.com"}, "sns:Publish", topic, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}],
          [{"Service": "events.amazonaws.com"}, "sns:Publish", topic, None]])
    same("all alarms tell the topic",
         [a["AlarmActions"] for a in stack.cloudwatch.describe_alarms()["MetricAlarms"]], [[topic]] * 3)
    rule = stack.events.describe_rule(Name="rotate-panther-rotation-failed")
    check_pattern(stack, rule["EventPattern"], made["ARN"], further)
    same("the rule tells the topic",
         [t["Arn"] for t in stack.events.list_targets_by_rule(Rule="rotate-panther-rotation-failed")["Targets"]], [topic])
    command = f"aws secretsmanager %s --region {region} --secret-id 'acme/panther'"
    same("the commands among the outputs", [stack.outputs[c] for c in ["RotateNowCommand", "CheckCommand", "RollBackCommand"]], [
        command % "rotate-secret",
        command % "describe-secret" + " --query '[RotationEnabled, LastRotatedDate, NextRotationDate, VersionIdsToStages]'",
        command % "cancel-rotate-secret"])
    same("the command for the next secret", stack.outputs["AddSecretCommand"],
         f"aws secretsmanager rotate-secret --region {region} --secret-id SECRET --rotation-lambda-arn {function['FunctionArn']}"
         ' --rotation-rules \'{"ScheduleExpression":"cron(0 4 1 * ? *)","Duration":"3h"}\' --no-rotate-immediately')


def check_pattern(stack, pattern, secret, further):
    """Asks moto's EventBridge which events the rule takes."""
    rule = EventPattern.load(pattern)

    def matches(name, **detail):
        event = {
            "id": "1", "account": ACCOUNT, "source": "aws.secretsmanager", "time": "2026-01-01T00:00:00Z",
            "region": stack.region, "resources": [], "detail-type": "AWS Service Event via CloudTrail",
            "detail": {"eventSource": "secretsmanager.amazonaws.com", "eventName": name, **detail},
        }
        return rule.matches_event(event)

    other = secret.replace("acme/panther", "acme/other")
    for name in ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]:
        same(f"the rule matches {name} of the secret", matches(name, additionalEventData={"SecretId": secret}), True)
    same("and its ARN as arn", matches("RotationFailed", responseElements={"arn": secret}), True)
    same("and its ARN as aRN", matches("RotationFailed", responseElements={"aRN": secret}), True)
    same("and a further secret", matches("RotationFailed", additionalEventData={"SecretId": further}), True)
    same("not another secret", matches("RotationFailed", additionalEventData={"SecretId": other}), False)
    same("not a success", matches("RotationSucceeded", additionalEventData={"SecretId": secret}), False)


def check_topic_and_account(template, region):
    """A topic of the user's, and secrets in another account."""
    topic = f"arn:aws:sns:{region}:{ACCOUNT}:pager"
    stack = Stack(template, region, "secrets in another account", SecretAccountId="210987654321", AlarmTopicArn=topic,
                  KmsKeyArns=f"arn:aws:kms:{region}:210987654321:key/12345678-1234-1234-1234-123456789012")
    same("no topic is made", stack.sns.list_topics()["Topics"], [])
    same("all alarms tell the given one",
         [a["AlarmActions"] for a in stack.cloudwatch.describe_alarms()["MetricAlarms"]], [[topic]] * 3)
    statements = stack.statements()
    same("secrets of that account",
         [statements["RotateSecretsThatNameThisFunction"]["Resource"],
          statements["UseTheSecretsKeys"]["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]],
         [stack.arn("secretsmanager", "secret:*", "210987654321")] * 2)
    policy = json.loads(stack.functions.get_policy(FunctionName=NAME)["Policy"])["Statement"]
    same("Secrets Manager of that account may invoke it", policy[0]["Condition"],
         {"StringEquals": {"AWS:SourceAccount": "210987654321"}})
    pattern = json.loads(stack.events.describe_rule(Name=f"{NAME}-rotation-failed")["EventPattern"])
    same("without a secret among the parameters, the rule watches all", "$or" in pattern["detail"], False)


def main(template_file, zip_file):
    logging.disable(logging.WARNING)
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")

    with emulated_account():
        # As sam package does it: the built code goes to a bucket, and the template names it.
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        s3.upload_file(zip_file, "artifacts", "function.zip")

        def template():
            with open(template_file, encoding="utf-8") as f:
                body = yaml_parse(f)
            body["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
            return body

        check_text(template())
        # Each in a region of its own, which is empty.
        check_function_alone(template, "eu-central-1")
        for region in ["us-gov-west-1", "cn-north-1"]:
            checks.in_one_line(check_function_alone, template, region)
        check_everything(template, "us-east-2")
        check_topic_and_account(template, "eu-west-1")


if __name__ == "__main__":
    main(*sys.argv[1:])
